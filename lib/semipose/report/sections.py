"""The sections of the page as HTML, each "" where there is nothing to show."""

from semipose.report.album import Album
from semipose.report.chance import differences_text
from semipose.report.charts import loss_chart, network_chart, pseudo_charts, setting_chart
from semipose.report.examples import suspect_rows, validation_rows, worst_and_random
from semipose.report.inspection import Inspection
from semipose.report.looking import Seen
from semipose.report.page import columns, grid, more, row, section, under
from semipose.report.pool import PoolExample
from semipose.report.records import in_pixels
from semipose.report.settings import Setting, winner
from semipose.report.tables import facts_of, keypoint_table, network_table, settings_table
from semipose.visualize.colors import color_key
from semipose.visualize.contact_sheet import html_key

FEW = 4  # up to so many settings all is shown at once


def results(settings: list[Setting]) -> str:
    """The networks side by side."""
    lead = "Each network in the best epoch of its run; in bold the best of each column."
    if any(len(setting.runs) > 1 for setting in settings):
        lead += " Runs that differ only by their seed are one row: mean ± standard deviation."
    if len({(setting.keys.get("DATASET.ROOT"), setting.keys.get("DATASET.TEST_SET")) for setting in settings}) > 1:
        lead += " The validation sets differ, so not all numbers can be compared."
    whole = network_table(settings, all_networks=True)
    if len(settings) <= FEW:
        return section("Results", lead, whole)
    return section("Results", lead, network_table(settings, all_networks=False), more("All networks", whole))


def trained(settings: list[Setting]) -> str:
    """What was trained on what."""
    cards = [facts_of(setting) for setting in settings]
    rest = more(f"{len(cards) - FEW} more", grid("cards", cards[FEW:])) if len(cards) > FEW else ""
    return section("What was trained on what", "", grid("cards", cards[:FEW]), rest)


def curves(album: Album, settings: list[Setting], in_full: list[Setting]) -> str:
    """The result of all settings in one chart, and networks and losses of the first run of those `in_full`."""
    alone, scored, own = len(settings) == 1, [setting for setting in settings if setting.result], []
    for setting in in_full:
        run = setting.runs[0]
        charts = [network_chart(run) if run.evaluated else "", loss_chart(run)]
        own += [album.figure(svg, "" if alone else run.name, f"curves of {run.name}") for svg in charts if svg]
    if alone or not scored:
        return section("Curves", "The star is the best epoch.", grid("charts", own))
    first = album.figure(setting_chart(scored), "", "result of each setting")
    return section(
        "Curves", "", grid("charts", [first]), more("Single runs, a star at the best epoch", grid("charts", own))
    )


def validation(album: Album, settings: list[Setting], found: list[Inspection], examples: int) -> list[str]:
    """A section for each validation set: keypoints, the largest errors, a random sample."""
    best, groups = winner(settings), _alike({one.name: one.validation for one in found if one.validation})
    metrics = {setting.name: setting.metric for setting in settings}
    sections = []
    for seen in groups:
        main = best.name if best and best.name in seen else next(iter(seen))
        heading = "Validation" + (f", {main}" if len(groups) > 1 else "")
        own, in_px = seen[main], in_pixels(metrics[main])
        what = "Mean error in pixels" if in_px else "Keypoints that are right, in percent"
        lead = f"{what}, of the networks of the best epoch. {differences_text(seen, main, in_px)}".strip()
        keypoints = under("By keypoint", lead, keypoint_table(seen, in_px))
        sections.append(section(heading, _rules(own), keypoints, _worst_beside_random(album, seen, main, examples)))
    return sections


def _rules(own: Seen) -> str:
    count = f"{len(own.persons)} of {own.total}" if len(own.persons) < own.total else f"{own.total}"
    return (
        f"{count} persons that were not trained on. A keypoint is wrong if it is off by {own.rule} or more: it has a "
        f"ring, and a line leads to its label. A click shows a picture large. &ensp;{html_key(color_key(own.skeleton))}"
    )


def _worst_beside_random(album: Album, seen: dict[str, Seen], main: str, examples: int) -> str:
    worst, others = worst_and_random(seen, main, examples)
    left, right = (grid("examples", validation_rows(album, seen, main, rows)) for rows in (worst, others))
    return columns(
        under("The largest errors", f"Of {main}, the worst first.", left),
        under("A random sample", "Of all others.", right),
    )  # fmt: skip


def pseudo_labels(album: Album, settings: list[Setting], found: list[Inspection]) -> str:
    """Their quality over the epochs, easy and hard examples; of the first run of each setting."""
    parts, examples = [], {id(one.record): one.pool for one in found}
    for setting in settings:
        run = setting.runs[0]
        charts = [album.figure(svg, "", f"pseudo-labels of {run.name}") for svg in pseudo_charts(run)]
        body = grid("charts", charts) + _pool_rows(album, examples.get(id(run), []))
        parts.append(under(run.name, "", body) if len(settings) > 1 else body)
    lead = (
        "What the teachers say about pictures without labels: over the epochs (the mean of both networks), and in the "
        "last one for a sample. What is right is known where the pool has hidden labels. Crosses are not learned."
    )
    return section("Pseudo-labels", lead, *parts)


def _pool_rows(album: Album, examples: list[PoolExample]) -> str:
    rows = {True: [], False: []}
    for one in examples:
        figures = [album.figure(picture, caption, one.name) for caption, picture in one.panels.items()]
        rows[one.easy].append(row(figures, f"{one.name}: {one.verdict}"))
    return under("Easy pictures", "", grid("examples", rows[True])) + under(
        "Hard pictures", "", grid("examples", rows[False])
    )


def suspicious(album: Album, found: list[Inspection], examples: int) -> list[str]:
    """A section for each labelled set."""
    sections = []
    for seen in _alike({one.name: one.labels for one in found if one.labels}):
        own, found_rows = next(iter(seen.values())), suspect_rows(album, list(seen.values()), examples)
        drawn = f" (drawn from {own.total})" if len(own.persons) < own.total else ""
        lead = (
            f"Of {len(own.persons)} labelled persons{drawn} {found_rows.count} have keypoints whose label is much "
            "farther from what all networks say than is usual where they are so sure."
        )
        if not found_rows.sides:
            lead += " Left and right are not judged, as the networks mix them up themselves."
        if found_rows.html:
            lead += (
                " The most suspicious ones first; rings mark the keypoints. Correct the labels, or keep them where the "
                "networks are wrong."
            )
        sections.append(section("Suspicious labels", lead, grid("examples", found_rows.html) or "&nbsp;"))
    return sections


def differences(settings: list[Setting]) -> str:
    lead = "Keys of the configuration that differ, without seeds, names and places of the runs."
    return section("Settings that differ", lead, settings_table(settings))


def _alike(seen: dict[str, Seen]) -> list[dict[str, Seen]]:
    """Those that looked at the same persons, together; without those that saw nobody."""
    groups = {}
    for name, one in seen.items():
        if len(one.persons):
            groups.setdefault(one.key, {})[name] = one
    return list(groups.values())
