"""The report of run folders, put together."""

from pathlib import Path

from semipose.report import sections
from semipose.report.album import Album
from semipose.report.inspection import Inspection, Look, inspect_run
from semipose.report.page import items, replace_file, section, whole_page
from semipose.report.records import in_pixels, read_record, shown
from semipose.report.sections import FEW
from semipose.report.settings import Setting, fold_seeds, mean_and_spread, winner
from semipose.report.tables import result_network

LOOKED_AT = 3  # settings whose networks are loaded: the one with the best result, and the first others


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
    looked_at = choose(settings)
    found = [inspect_run(setting.runs[0], setting.name, look) for setting in looked_at]
    album, in_full = Album(), settings if len(settings) <= FEW else looked_at
    parts = [
        sections.results(settings),
        sections.trained(settings),
        sections.curves(album, settings, in_full),
        *sections.validation(album, settings, found, look.examples),
        sections.pseudo_labels(album, in_full, found),
        *sections.suspicious(album, found, look.examples),
        sections.differences(settings),
        _missing(settings, found),
    ]
    replace_file(out, album.embed(whole_page(_title(settings), summary(settings), parts), limit))


def choose(settings: list[Setting]) -> list[Setting]:
    """The settings whose networks are looked at: the best one and the first others, in order."""
    best = winner(settings)
    others = [setting for setting in settings if setting is not best][: LOOKED_AT - (best is not None)]
    return [setting for setting in settings if setting is best or setting in others]


def _title(settings: list[Setting]) -> str:
    runs = sum(len(setting.runs) for setting in settings)
    if runs == 1:
        return f"Run {settings[0].name}"
    names = ", ".join(setting.name for setting in settings[:FEW]) + (", ..." if len(settings) > FEW else "")
    return f"{runs} runs: {names}"


def summary(settings: list[Setting]) -> str:
    """The result in a sentence, of several settings the best and the first others."""
    best = winner(settings)
    if best is None:
        return "There is no evaluation yet."
    told, others = _told(best), [s for s in settings if s is not best and s.result and s.metric == best.metric]
    if not others:
        epochs = ", ".join(str(run.best["epoch"]) for run in best.runs if run.best)
        told = f"{result_network(best)}: {told} in epoch {epochs}, the best one."
        return told if len(settings) == 1 else f"{best.name}, {told} No other run has this metric."
    rest = "; ".join(f"{setting.name}: {_told(setting)}" for setting in others[:FEW])
    return f"Best: {best.name} ({result_network(best)}), {told}. {rest}{'; ...' if len(others) > FEW else '.'}"


def _told(setting: Setting) -> str:
    mean, spread = mean_and_spread([shown(setting.metric, value) for value in setting.result])
    unit, value = "px" if in_pixels(setting.metric) else "%", f"{setting.metric} {mean:.1f}"
    return f"{value} {unit}" if spread is None else f"{value} ± {spread:.1f} {unit} ({len(setting.result)} seeds)"


def _missing(settings: list[Setting], found: list[Inspection]) -> str:
    lines = [f"{run.name}: {line}" for setting in settings for run in setting.runs for line in run.missing]
    lines += [f"{one.name}: {line}" for one in found for line in one.missing]
    left = sum(len(setting.runs) for setting in settings) - len(found)
    if left:
        lines.append(f"networks and pictures are those of {', '.join(one.record.name for one in found)} only")
    moved = any(one.missing for one in found)
    return section("What is missing", "Data in another folder: semipose report RUN --root FOLDER." if moved else "",
                   items(lines))  # fmt: skip
