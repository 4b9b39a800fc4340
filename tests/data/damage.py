"""Property tests of readers: an annotation with one to three values replaced or removed."""

import copy

from hypothesis import strategies as st

# any JSON value, with those that break readers more often than chance would draw them
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8),
    st.sampled_from([-1, 0, 2**63, 10**400, 1e308, -1e308, float("nan"), float("inf"), "../x.jpg", "C:\\x.jpg", "/x",
                     "\\\\host\\x", "x\0y", "写真.jpg", "\ud800.jpg", [], {}, [[]], "NaN", [1] * 9,
                     [-1e308, 0, 1e308, 9], [10, 10, -5, -5], [10**400] * 4]),
    st.lists(st.one_of(st.integers(), st.floats(), st.none(), st.text(max_size=2)), max_size=10),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip


def places(value, path=()):
    """All positions inside a JSON value, as tuples of keys."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] + [place for key, child in children for place in places(child, (*path, key))]


@st.composite
def damaged(draw, make_content):
    """What `make_content` returns, damaged."""
    content = make_content()
    for _ in range(draw(st.integers(1, 3))):
        *parents, last = draw(st.sampled_from([place for place in places(content) if place]))
        holder = content
        for key in parents:
            holder = holder[key]
        if draw(st.booleans()):
            holder[last] = copy.deepcopy(draw(VALUES))
        else:
            del holder[last]
    return content
