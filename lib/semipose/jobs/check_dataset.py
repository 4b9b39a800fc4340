"""List every broken image and annotation of a configuration, and why AP would be 0, before anything is trained.

Example: semipose check --cfg experiments/coco/res18_256x192_1k_cotrain.yaml --out report.json DATASET.ROOT data/coco
All faults are listed, except for .mat files, where only the first one is. Exit code: 0 if nothing is broken, else 2.
Notes are about things that look wrong, but can be trained on.
"""

import argparse
import sys

from semipose.cli import add_configuration, files_and_pairs


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_configuration(parser)
    parser.add_argument("--fast", action="store_true", help="read the headers of images only, do not decode them")
    parser.add_argument("--out", help="write the report to this JSON file, with all ids")
    args = parser.parse_intermixed_args(arguments)
    files, pairs = files_and_pairs(args)

    from semipose.assemble.check_data import check_dataset
    from semipose.config import load_config
    from semipose.errors import SemiposeError
    from semipose.writable import check_file

    try:
        if args.out:
            check_file(args.out, "--out")
        found = check_dataset(load_config(files, {}, pairs), args.fast, show_progress)
        for finding in found.findings:
            print(f"{'BROKEN' if finding.broken else 'note  '} {finding.source}: {finding.text}")
        print(summary(found))
        if args.out:
            write_report(args.out, found)
    except SemiposeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 2 if found.broken else 0


def show_progress(items, total: int):
    """A line on a terminal while images are read; nothing in a log file."""
    from tqdm import tqdm

    return tqdm(items, desc="images", total=total, unit="", leave=False, disable=None)


def summary(found) -> str:
    """A table with a line for each source."""
    columns = ("images", "persons", "faults", "notes")
    lines = ["", f"{'source':40s} " + " ".join(f"{column:>8s}" for column in columns)]
    lines += [f"{row['source']:40s} " + " ".join(f"{row[column]:8d}" for column in columns) for row in rows_of(found)]
    faults = sum(finding.broken for finding in found.findings)
    return "\n".join([*lines, f"{faults} faults" if faults else "nothing is broken"])


def rows_of(found) -> list[dict]:
    """Counts of each source, and of what belongs to none, in the order of the findings."""
    counts = {check.name: {"images": len(set(check.paths())), "persons": check.count} for check in found.sources}
    names = list(dict.fromkeys([*counts, *(finding.source for finding in found.findings)]))
    rows = []
    for name in names:
        own = [finding for finding in found.findings if finding.source == name]
        faults = sum(finding.broken for finding in own)
        sizes = counts.get(name, {"images": 0, "persons": 0})
        rows.append({"source": name} | sizes | {"faults": faults, "notes": len(own) - faults})
    return rows


def write_report(path: str, found) -> None:
    from dataclasses import asdict

    from semipose.data.json_file import write_json
    from semipose.errors import write_error

    findings = [asdict(finding) for finding in found.findings]
    try:
        write_json(path, {"broken": found.broken, "sources": rows_of(found), "findings": findings})
    except OSError as error:
        raise write_error(error, path) from error
