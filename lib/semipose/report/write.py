"""The report of run folders, put together."""

import logging
from pathlib import Path

from semipose.report.album import Album
from semipose.report.charts import loss_chart, network_chart, pseudo_charts, setting_chart
from semipose.report.examples import suspect_rows, validation_rows, worst_and_random
from semipose.report.inspection import Inspection, Look, inspect_run
from semipose.report.looking import Seen
from semipose.report.page import columns, grid, items, more, replace_file, row, section, under, whole_page
from semipose.report.records import in_pixels, read_record, shown
from semipose.report.settings import Setting, fold_seeds, mean_and_spread, winner
from semipose.report.tables import facts_of, keypoint_table, network_table, result_network, settings_table
from semipose.visualize.colors import color_key
from semipose.visualize.contact_sheet import html_key

log = logging.getLogger(__name__)

LOOKED_AT = 3  # settings whose networks are loaded: the one with the best result, and the first others
FEW = 4  # up to so many settings all is shown at once


def write_report(folders: list[Path], names: list[str], out: Path, look: Look, limit: int) -> None:
    """One HTML file.

    Args:
        folders: of the runs.
        names: short, one for each, all different.
        limit: bytes of the file, as far as coarser pictures can keep it.

    Raises:
        ConfigError: a folder without a record of a run. SemiposeError: the file cannot be written.
    """
    settings = fold_seeds([read_record(*pair) for pair in zip(folders, names, strict=True)])
    found = [inspect_run(setting.runs[0], setting.name, look) for setting in _looked_at(settings)]
    album = Album()
    sections = [
        _results(settings), _trained(settings), _curves(album, settings), *_validation(album, settings, found, look),
        _pseudo_labels(album, settings, found), *_suspects(album, found, look), _differences(settings),
        _missing(settings, found),
    ]  # fmt: skip
    replace_file(out, album.embed(whole_page(_title(settings), _summary(settings), sections), limit))


def _looked_at(settings: list[Setting]) -> list[Setting]:
    """The best setting and the first others, in order."""
    best = winner(settings)
    others = [setting for setting in settings if setting is not best][: LOOKED_AT - (best is not None)]
    return [setting for setting in settings if setting is best or setting in others]


def _title(settings: list[Setting]) -> str:
    runs = sum(len(setting.runs) for setting in settings)
    if runs == 1:
        return f"Run {settings[0].name}"
    names = ", ".join(setting.name for setting in settings[:FEW]) + (", ..." if len(settings) > FEW else "")
    return f"{runs} runs: {names}"


def _summary(settings: list[Setting]) -> str:
    """The result in a sentence, of several settings from the best to the others."""
    best = winner(settings)
    if best is None:
        return "There is no evaluation yet."
    told = _told(best)
    rivals = [
        setting for setting in settings if setting is not best and setting.metric == best.metric and setting.result
    ]
    if not rivals:
        epochs = ", ".join(str(run.best["epoch"]) for run in best.runs if run.best)
        return f"{result_network(best)}: {told} in epoch {epochs}, the best one."
    others = "; ".join(f"{setting.name}: {_told(setting)}" for setting in rivals[:FEW])
    return f"Best: {best.name} ({result_network(best)}), {told}. {others}{'; ...' if len(rivals) > FEW else ''}."


def _told(setting: Setting) -> str:
    mean, spread = mean_and_spread([shown(setting.metric, value) for value in setting.result])
    unit = "px" if in_pixels(setting.metric) else "%"
    many = "" if spread is None else f" ± {spread:.1f} ({len(setting.result)} seeds)"
    return f"{setting.metric} {mean:.1f}{many} {unit}"


def _results(settings: list[Setting]) -> str:
    lead = "Each network in the best epoch of its run; in bold the best of each column."
    if any(len(setting.runs) > 1 for setting in settings):
        lead += " Runs that differ only by their seed are one row: mean ± standard deviation."
    whole = network_table(settings, all_networks=True)
    if len(settings) <= FEW:
        return section("Results", lead, whole)
    return section("Results", lead, network_table(settings, all_networks=False), more("All networks", whole))


def _trained(settings: list[Setting]) -> str:
    cards = [facts_of(setting) for setting in settings]
    rest = more(f"{len(cards) - FEW} more", grid("cards", cards[FEW:])) if len(cards) > FEW else ""
    return section("What was trained on what", "", grid("cards", cards[:FEW]), rest)


def _differences(settings: list[Setting]) -> str:
    lead = "Keys of the configuration that differ, without seeds, names and places of the runs."
    return section("Settings that differ", lead, settings_table(settings))


def _curves(album: Album, settings: list[Setting]) -> str:
    own = []
    for setting in settings:
        run = setting.runs[0]
        charts = [network_chart(run) if run.evaluated else "", loss_chart(run)]
        figures = [album.figure(svg, _of(run.name, settings), f"curves of {run.name}") for svg in charts if svg]
        own += figures
    scored = [setting for setting in settings if setting.result]
    if len(settings) == 1 or not scored:
        return section("Curves", "The star is the best epoch.", grid("charts", own))
    first = album.figure(setting_chart(scored), "", "result of each setting")
    return section(
        "Curves", "", grid("charts", [first]), more("Each run, a star at its best epoch", grid("charts", own))
    )


def _of(name: str, settings: list[Setting]) -> str:
    return name if len(settings) > 1 else ""


def _validation(album: Album, settings: list[Setting], found: list[Inspection], look: Look) -> list[str]:
    """A section for each validation set: keypoints, the largest errors, a random sample."""
    best, sections = winner(settings), []
    for seen in _alike({one.name: one.validation for one in found if one.validation}):
        main = best.name if best and best.name in seen else list(seen)[0]
        own = seen[main]
        if not len(own.persons):
            continue
        key = html_key(color_key(own.skeleton))
        of = f"{len(own.persons)} of {own.total} persons" if len(own.persons) < own.total else f"{own.total} persons"
        lead = (
            f"{of} that were not trained on. A keypoint is wrong if it is off by {own.rule} or more: it has a ring, and "
            f"a line leads to its label. A click shows a picture large. &ensp;{key}"
        )
        worst, others = worst_and_random(seen, main, look.examples)
        in_px = in_pixels(next(setting.metric for setting in settings if setting.name == main))
        what = "Mean error in pixels" if in_px else "Keypoints that are right, in percent"
        sections.append(
            section(
                "Validation" + ("" if not sections else f", {main}"), lead,
                under("By keypoint", what + ", of the networks of the best epoch.", keypoint_table(seen, in_px)),
                columns(
                    under("The largest errors", f"Of {main}, the worst first.", _rows(album, seen, main, worst)),
                    under("A random sample", "Of all others.", _rows(album, seen, main, others)),
                ),
            )
        )  # fmt: skip
    return sections


def _rows(album: Album, seen: dict[str, Seen], main: str, rows: list[int]) -> str:
    return grid("examples", validation_rows(album, seen, main, rows))


def _pseudo_labels(album: Album, settings: list[Setting], found: list[Inspection]) -> str:
    parts = []
    for setting in settings:
        run = setting.runs[0]
        charts = [album.figure(svg, "", f"pseudo-labels of {run.name}") for svg in pseudo_charts(run)]
        examples = next((one.pool for one in found if one.record is run), [])
        body = grid("charts", charts)
        for easy, title in ((True, "Easy pictures"), (False, "Hard pictures")):
            own = [one for one in examples if one.easy is easy]
            figures = [
                row(
                    [album.figure(p, caption, one.name) for caption, p in one.panels.items()],
                    f"{one.name}: {one.verdict}",
                )
                for one in own
            ]
            body += under(title, "", grid("examples", figures))
        parts.append(under(run.name, "", body) if len(settings) > 1 else body)
    lead = (
        "What the teachers say about pictures without labels: over the epochs (the mean of both networks), and in the "
        "last one for a sample. What is right is known where the pool has hidden labels. Crosses are not learned."
    )
    return section("Pseudo-labels", lead, *parts)


def _suspects(album: Album, found: list[Inspection], look: Look) -> list[str]:
    """A section for each labelled set."""
    sections = []
    for seen in _alike({one.name: one.labels for one in found if one.labels}):
        rows, count = suspect_rows(album, list(seen.values()), look.examples)
        own = next(iter(seen.values()))
        of = f"Of {len(own.persons)} labelled persons {count} have keypoints"
        said = f"{of} whose label is much farther from what all networks say than is usual where they are so sure."
        lead = (
            f"{said} The most suspicious ones first; rings mark the keypoints. Correct the labels, or keep them where the "
            "networks are wrong: they often take left for right."
        )
        sections.append(section("Suspicious labels", lead if rows else said, grid("examples", rows) or " "))
    return sections


def _alike(seen: dict[str, Seen]) -> list[dict[str, Seen]]:
    """Those that looked at the same persons, together."""
    groups = {}
    for name, one in seen.items():
        groups.setdefault(one.key, {})[name] = one
    return list(groups.values())


def _missing(settings: list[Setting], found: list[Inspection]) -> str:
    lines = [f"{run.name}: {line}" for setting in settings for run in setting.runs for line in run.missing]
    lines += [f"{one.name}: {line}" for one in found for line in one.missing]
    looked = {id(one.record) for one in found}
    left = sum(id(run) not in looked for setting in settings for run in setting.runs)
    if left:
        lines.append(f"Networks and pictures are those of {', '.join(one.record.name for one in found)} only.")
    return section("What is missing", "", items(lines))
