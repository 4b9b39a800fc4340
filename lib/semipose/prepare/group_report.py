"""The result of matching labelme persons to annotations: as JSON, and as lines to read."""

from collections import Counter

from semipose.data.group_ids import NO_GROUP
from semipose.prepare.group_matching import GroupMatch
from semipose.structures import Persons

_SHOWN = 10


def group_mapping(match: GroupMatch, drawn: Persons, annotated: Persons) -> dict[str, int]:
    """{annotation id: group id}, for JSON; persons without a group_id are not in it."""
    groups = drawn.group_ids[match.pairs[:, 0]].tolist()
    ids = annotated.ids[match.pairs[:, 1]].tolist()
    return {str(number): group for number, group in sorted(zip(ids, groups)) if group != NO_GROUP}


def group_details(match: GroupMatch, drawn: Persons, annotated: Persons) -> dict:
    """All of the result, for JSON."""
    ids, posed = annotated.ids.tolist(), annotated.keypoints[:, :, 2].any(axis=1).tolist()
    rows = zip(match.pairs.tolist(), match.errors.tolist(), match.by_box.tolist())
    return {
        "mapping": group_mapping(match, drawn, annotated),
        "persons_per_group": _per_group(match, drawn),
        "matched": [
            {"annotation_id": ids[b], **_name(drawn, a), **({"iou": 1 - e} if by_box else {"distance": e})}
            for (a, b), e, by_box in rows
        ],
        "unmatched_labelme": [_name(drawn, row) for row in match.unmatched],
        "unmatched_coco": [
            {"annotation_id": ids[row], "image": annotated.path(row), "has_keypoints": posed[row]}
            for row in match.left_over
        ],
        "ambiguous": [
            {**_name(drawn, row), "candidates": [ids[other] for other in others]}
            for row, others in match.ambiguous.items()
        ],
        "images_without_labelme_file": int((~match.covered).sum()),
    }


def open_questions(details: dict) -> int:
    """Persons that are unmatched or ambiguous; annotations without keypoints do not count."""
    left_over = sum(person["has_keypoints"] for person in details["unmatched_coco"])
    return len(details["unmatched_labelme"]) + left_over + len(details["ambiguous"])


def report_lines(details: dict) -> list[str]:
    """The report to print: counts, and the first persons of each list to look at."""
    by_box = sum("iou" in person for person in details["matched"])
    posed = [person for person in details["unmatched_coco"] if person["has_keypoints"]]
    bare = len(details["unmatched_coco"]) - len(posed)
    lines = [f"matched {len(details['matched'])} persons, {by_box} of them by their boxes"]
    lines += [f"  group {group}: {count}" for group, count in details["persons_per_group"].items()]
    lines += [f"unmatched labelme persons: {len(details['unmatched_labelme'])}"]
    lines += _shown(f"{p['image']}: group_id {p['group_id']}" for p in details["unmatched_labelme"])
    lines += [f"unmatched COCO annotations: {len(posed)} (and {bare} without keypoints)"]
    lines += _shown(f"{p['image']}: annotation {p['annotation_id']}" for p in posed)
    lines += [f"ambiguous: {len(details['ambiguous'])}"]
    lines += _shown(
        f"{p['image']}: group_id {p['group_id']}: annotations {', '.join(map(str, p['candidates']))}"
        for p in details["ambiguous"]
    )
    return [*lines, f"COCO images without a labelme file: {details['images_without_labelme_file']}"]


def _name(drawn: Persons, row: int) -> dict:
    group = int(drawn.group_ids[row])
    return {"image": drawn.path(row), "group_id": None if group == NO_GROUP else group}


def _per_group(match: GroupMatch, drawn: Persons) -> dict[str, int]:
    counts = Counter(drawn.group_ids[match.pairs[:, 0]].tolist())
    return {"none" if group == NO_GROUP else str(group): counts[group] for group in sorted(counts)}


def _shown(names) -> list[str]:
    names = list(names)
    more = [f"  ... and {len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
    return [f"  {name}" for name in names[:_SHOWN]] + more
