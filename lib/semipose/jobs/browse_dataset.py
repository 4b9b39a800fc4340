"""Draw what the network will see: a PNG for each person, and index.html with all of them. Nothing is trained.

original     the image, with box, skeleton, keypoint names, and what the network's input shows of it
transformed  views as training makes them, with keypoints and targets (--phase val: as validation does)
easy-hard    the easy view and each of AUGMENT.HARD_VIEWS, with pseudo-labels: those of the --checkpoint, or in their
             place the true labels, where the source has any
pseudo       what the teachers of a --checkpoint say about the easy view, joint by joint

Bottom-up (MODEL.CODEC dekr) a PNG is a whole picture: a colour for each person, group and weight beside it, and regions
of persons without labels are tinted.

Example: semipose browse --cfg experiments/demo/cotrain.yaml --mode easy-hard --output-dir browse
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

from semipose.cli import add_configuration, files_and_pairs

PHASES = {
    "original": ("train", "val", "unlabeled"),
    "transformed": ("train", "val"),
    "easy-hard": ("unlabeled", "train"),
    "pseudo": ("unlabeled", "train"),
}  # the first is the default
LEADS = {
    "original": "Yellow: the box. Grey: what the network's input shows.",
    "transformed": "Left the view with its keypoints, right its targets, all in one.",
    "easy-hard": "The easy view, which teachers read, and the hard views, which students learn from.",
    "pseudo": "The easy view with what the teachers say about it; 'off' is the distance to the true joint in pixels.",
}
PICTURE_LEADS = {
    "original": "A colour for each person, beside it group and weight. Pink: persons without labels. Grey: what the "
    "network's input shows.",
    "transformed": "Left the view with its persons, pink where they have no labels; right the heatmaps, all in one.",
    "easy-hard": LEADS["easy-hard"],
    "pseudo": "The easy view with the persons that the teachers find, and their scores.",
}  # bottom-up
POOLED = ("easy-hard", "pseudo")  # modes that draw what is made of unlabelled images


@dataclass(frozen=True)
class Shown:
    """Rows of a data set to be drawn, the name of their source, and its skeleton."""

    name: str
    dataset: object
    rows: range | list[int]
    skeleton: object


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_configuration(parser)
    parser.add_argument("--mode", choices=PHASES, default="original", help="default %(default)s")
    parser.add_argument("--phase", choices=PHASES["original"], help="whom (default: train, or the pool: unlabeled)")
    parser.add_argument("--output-dir", required=True, help="folder for index.html and the pictures")
    parser.add_argument("--max-items", type=int, default=32, help="persons, from all sources (default %(default)s)")
    parser.add_argument("--checkpoint", help="last.pth of a run, or best.pth, which has no easy/hard split")
    args = parser.parse_intermixed_args(arguments)

    import logging

    from semipose.errors import SemiposeError
    from semipose.writable import check_folder

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        check_folder(args.output_dir, "--output-dir")
        count = browse(args)
    except SemiposeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{Path(args.output_dir) / 'index.html'}: {count} pictures   <- open this in a browser")
    return 0


def browse(args: argparse.Namespace) -> int:
    """Draw all; returns the number of pictures. Raises SemiposeError."""
    from semipose.assemble.set_rows import bottom_up
    from semipose.errors import DataError
    from semipose.visualize.browse import person_facts
    from semipose.visualize.browse_pictures import picture_facts
    from semipose.visualize.contact_sheet import write_contact_sheet, write_picture

    phase = check(args)
    config, state = load(args)
    whole, (sources, total) = bottom_up(config), choose(config, phase, args.max_items)
    draw = make_drawer(config, args, phase, state, total)
    size = config.TRAIN.BATCH_SIZE_UNSUP if args.mode in POOLED else config.TRAIN.BATCH_SIZE
    folder, entries, faults = Path(args.output_dir), [], []
    for step, (source, rows) in enumerate(batches(sources, size)):
        batch = source.dataset.__getitems__(rows)
        faults += batch.faults
        drawn = draw(source, batch, step) if len(batch) else []
        for row, item in zip(batch.index.tolist(), drawn, strict=True):
            persons, name = source.dataset.persons, f"{len(entries) + 1:04d}_{source.dataset.persons.ids[row]}.png"
            facts = picture_facts(source.dataset, row) if whole else person_facts(persons, row)
            facts |= {"source": source.name} | item.facts
            entries.append(write_picture(folder, name, item.picture, facts))
    if not entries:
        raise DataError(f"no image could be read: {faults[0]}")
    title = f"{args.mode}, {phase}: {len(entries)} of {total} {'pictures' if whole else 'persons'}"
    notes, skeletons = [f"left out: {fault}" for fault in faults], [source.skeleton for source in sources]
    lead, colors = (PICTURE_LEADS[args.mode], []) if whole else (LEADS[args.mode], skeletons)
    write_contact_sheet(folder / "index.html", title, lead, entries, notes, colors)
    for fault in faults:
        print(f"left out: {fault}", file=sys.stderr)
    return len(entries)


def check(args: argparse.Namespace) -> str:
    """The phase; raises ConfigError for flags that do not go together."""
    from semipose.errors import ConfigError

    allowed, phase = PHASES[args.mode], args.phase or PHASES[args.mode][0]
    if phase not in allowed:
        raise ConfigError(f"--phase is {phase}; allowed with --mode {args.mode}: {', '.join(allowed)}")
    if args.max_items < 1:
        raise ConfigError(f"--max-items is {args.max_items}; 1 or more expected")
    if args.mode == "pseudo" and not args.checkpoint:
        raise ConfigError("--mode pseudo needs the --checkpoint whose teachers are asked")
    if args.checkpoint and args.mode not in POOLED:
        raise ConfigError(f"--checkpoint is not used by --mode {args.mode}; allowed with: {', '.join(POOLED)}")
    return phase


def load(args: argparse.Namespace) -> tuple:
    """Configuration and checkpoint, or None; what networks depend on is taken from the checkpoint."""
    from semipose.assemble.from_checkpoint import network_keys
    from semipose.config import load_config
    from semipose.engine.checkpoint import load_checkpoint

    # on the CPU, so that any machine draws the same; uncached, as only a few crops are looked at
    flags, state = {"GPUS": "cpu", "DATASET.CACHE": "none"}, None
    if args.checkpoint:
        state = load_checkpoint(args.checkpoint)
        flags |= network_keys(state, args.checkpoint)
    files, pairs = files_and_pairs(args)
    return load_config(files, flags, pairs), state


def choose(config, phase: str, count: int) -> tuple[list[Shown], int]:
    """Whom to draw, by source, and how many persons there are in all."""
    sources = validation_sources(config) if phase == "val" else training_sources(config, phase)
    lengths = [len(source.rows) for source in sources]
    chosen = zip(sources, shares(lengths, count))
    return [replace(source, rows=spread(source.rows, share)) for source, share in chosen if share], sum(lengths)


def validation_sources(config) -> list[Shown]:
    """All persons of each validation set, in its own skeleton."""
    from semipose.assemble import build_dataset, read_validation
    from semipose.assemble.sources_and_sets import build_test_sources

    skeletons = {source.name: source.skeleton for source in build_test_sources(config)}
    sets = read_validation(config).items()
    datasets = [(name, build_dataset(config, persons, "omit")) for name, persons in sets]
    return [Shown(name, dataset, range(len(dataset)), skeletons[name]) for name, dataset in datasets]


def training_sources(config, phase: str) -> list[Shown]:
    """All persons of each labelled or unlabelled source; those of one side are in one data set."""
    from semipose.assemble import build_data, build_dataset
    from semipose.errors import ConfigError
    from semipose.skeletons import get_skeleton

    data = build_data(config)
    sides = {"train": (data.labeled, data.labeled_mix), "unlabeled": (data.unlabeled, data.unlabeled_mix)}
    persons, mix = sides[phase]
    if persons is None:
        raise ConfigError(
            f"ALGORITHM is {config.ALGORITHM!r}, which has no unlabelled images; name another: ALGORITHM X"
        )
    labeled, skeleton = phase == "train", get_skeleton(config.DATASET.SKELETON)
    dataset = build_dataset(config, persons, "omit", labeled, data.regions if labeled else None)
    ends = list(accumulate(mix.lengths))
    rows = [range(end - length, end) for end, length in zip(ends, mix.lengths)]
    return [Shown(name, dataset, part, skeleton) for name, part in zip(mix.names, rows)]


def shares(lengths: list[int], count: int) -> list[int]:
    """How many of each source are drawn: equally many, as far as a source has them."""
    found = [0] * len(lengths)
    shortest_first = sorted(range(len(lengths)), key=lengths.__getitem__)
    for place, number in enumerate(shortest_first):
        found[number] = min(lengths[number], (count - sum(found)) // (len(lengths) - place))
    return found


def spread(rows: range, count: int) -> list[int]:
    """`count` rows at equal distances, from the first on."""
    return [rows[place * len(rows) // count] for place in range(count)]


def batches(sources: list[Shown], size: int) -> Iterator[tuple[Shown, list[int]]]:
    """The rows of each source in batches of the training's size: some operations mix the images of a batch."""
    for source in sources:
        for start in range(0, len(source.rows), size):
            yield source, source.rows[start : start + size]


def make_drawer(config, args: argparse.Namespace, phase: str, state: dict | None, size: int) -> Callable:
    """The function (source, batch, step) -> pictures of a mode.

    Args:
        state: the checkpoint, or None.
        size: persons in the data set of the phase.
    """
    from semipose import assemble
    from semipose.assemble.set_rows import bottom_up
    from semipose.visualize import browse, browse_pictures

    shape, whole = tuple(config.MODEL.IMAGE_SIZE), bottom_up(config)
    pictures = browse_pictures if whole else browse

    def about(source: Shown) -> tuple:  # what a drawing function wants to know of the data set
        return (source.dataset,) if whole else ()

    def persons(source: Shown) -> tuple:
        return () if whole else (source.dataset.persons,)

    if args.mode == "original":
        return lambda s, batch, step: pictures.original_pictures(*about(s), *persons(s), batch, shape, s.skeleton)
    if phase == "val":
        codec = assemble.build_network(config, pretrained=False).codec
        return lambda s, batch, step: pictures.centred_pictures(*about(s), codec, shape, batch, s.skeleton)
    recipe, codec, teachers = make_recipe(config, state, args.checkpoint, size)
    check_losses(config, recipe, args.mode)
    if args.mode == "transformed":
        return lambda s, batch, step: pictures.labeled_pictures(*about(s), recipe, codec, batch, step, s.skeleton)
    draw = pictures.pseudo_pictures if args.mode == "pseudo" else pictures.easy_hard_pictures
    return lambda s, batch, step: draw(*about(s), recipe, codec, *persons(s), batch, step, s.skeleton, teachers)


def make_recipe(config, state: dict | None, checkpoint: str, size: int) -> tuple:
    """The recipe of the algorithm, the codec, and the teachers by name; none without a checkpoint."""
    from semipose import assemble
    from semipose.assemble.teachers import load_teachers

    if state is None:
        network = assemble.build_network(config, pretrained=False)
        return assemble.build_recipe(config, network, 0), network.codec, {}
    constraints = assemble.build_label_constraints(config)
    algorithm, teachers = load_teachers(config, state, checkpoint, size, constraints)
    return algorithm.recipe, next(iter(algorithm.predictors().values())).codec, teachers


def check_losses(config, recipe, mode: str) -> None:
    """ConfigError where training would not make the views that are to be drawn."""
    from semipose.errors import ConfigError

    weights = recipe.weights
    needed = {
        "transformed": weights.pose or weights.worst,
        "easy-hard": weights.cons or weights.worst,
        "pseudo": weights.unlabeled,
    }
    if not needed[mode]:
        given = config.WEIGHT
        raise ConfigError(
            f"--mode {mode}: training makes no such views with ALGORITHM {config.ALGORITHM}, WEIGHT.LOSS_POSE "
            f"{given.LOSS_POSE:g}, LOSS_CONS {given.LOSS_CONS:g}, LOSS_MIX {given.LOSS_MIX:g}, "
            f"LOSS_WORST {given.LOSS_WORST:g}"
        )
