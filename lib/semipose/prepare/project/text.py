"""The configuration file that a project starts with: short, in the order of reading, with reasons."""

from collections.abc import Sequence
from dataclasses import dataclass

from semipose.prepare.project.plan import (
    BOTTOM_UP,
    FRAMES,
    Facts,
    Machine,
    backbone,
    batches,
    cache,
    input_size,
    learning_rate,
    sigma,
    steps,
    views,
)
from semipose.skeletons import SKELETONS, Skeleton

_WIDTH = 118
_EPOCH = 50  # steps


@dataclass(frozen=True)
class Project:
    """What the file says.

    Attributes:
        head: comment lines at the top.
        root: folder of the data.
        train, pool, test: sources of the three sides, as mappings.
        held_out: how validation was chosen, for a comment.
        pool_is: what the pool is, for a comment.
        weights: "imagenet", a file, or "".
        multiview: keypoints that a picture shows twice.
        in_time: there are videos, or numbers of pictures that are time.
    """

    head: Sequence[str]
    root: str
    skeleton: Skeleton
    train: Sequence[dict]
    pool: Sequence[dict]
    test: Sequence[dict]
    held_out: str
    pool_is: str
    facts: Facts
    machine: Machine
    weights: str
    multiview: Sequence[tuple[str, str]] = ()
    in_time: bool = True


def to_text(project: Project) -> str:
    """The lines of the YAML file."""
    sections = (_data, _model, _training, _pool_labels, _augment, _rest)
    lines = [f"# {line}" if len(line) < _WIDTH else f"# {line[: _WIDTH - 5]} ..." for line in project.head]
    return "\n".join([*lines, *(line for section in sections for line in section(project))]) + "\n"


def quoted(value: object) -> str:
    """A value as YAML in flow style; texts in quotes where they need them."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {quoted(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(quoted, value)) + "]"
    if isinstance(value, str):
        plain = (
            value and value.isprintable() and all(c.isalnum() or c in "_./-" for c in value) and value[0] not in "-."
        )
        return value if plain else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value).lower() if isinstance(value, bool) else str(value)


def _line(depth: int, key: str, value: object, reason: str = "") -> list[str]:
    """`key: value  # reason`; the reason goes above where it does not fit."""
    start = "  " * depth
    text = f"{start}{key}: {value if isinstance(value, str) else quoted(value)}"
    if not reason:
        return [text]
    line = f"{text}  # {reason}"
    return [line] if len(line) <= _WIDTH else [f"{start}# {reason}", text]


def _sources(key: str, sources: Sequence[dict], reason: str) -> list[str]:
    """A source on each line; a single one on the line of the key where it fits."""
    texts = [quoted(source if len(source) > 1 else source["annotation"]) for source in sources]
    if len(texts) <= 1:
        lines = _line(1, key, f"[{''.join(texts)}]", reason)
        if len(lines[-1]) <= _WIDTH:
            return lines
    return [f"  {key}:" + (f"  # {reason}" if reason else ""), *(f"    - {text}" for text in texts)]


def _data(project: Project) -> list[str]:
    lines = ["DATASET:", *_line(1, "ROOT", quoted(project.root)), *_skeleton(project.skeleton)]
    lines += _sources("TRAIN_SET", project.train, "")
    lines += _sources("TEST_SET", project.test, project.held_out)
    lines += _sources("TRAIN_UNSUP_SET", project.pool, project.pool_is)
    if project.test and project.pool and not project.in_time:
        lines += _line(1, "OVERLAP", "{GUARD: 0}", "pictures that are numbered next to held-out ones do not look alike")
    size = input_size(project.facts, project.machine).value
    where = cache(project.facts, project.machine, size)
    lines += _line(1, "CACHE", where.value, where.reason)
    if project.facts.view == FRAMES:
        lines += _line(1, "BOX_PADDING", "1.0", "the box is the whole picture, as in the pool and in semipose predict")
    return [*lines, "WORKERS: 0" if where.value == "ram" else "WORKERS: 2"]


def _skeleton(skeleton: Skeleton) -> list[str]:
    if SKELETONS.get(skeleton.name) == skeleton:
        return _line(1, "SKELETON", skeleton.name, "the labels have its names")
    lines = ["  SKELETON:  # as the labels have it", *_wrapped(2, "keypoints", skeleton.keypoints)]
    lines += _line(2, "sigmas", "0.05", "tolerance of AP, as a share of the size: 0.025 for an eye, 0.1 for a hip")
    if skeleton.mirrors:
        lines += _wrapped(2, "swaps", skeleton.swaps, "left and right, which change places in a mirrored picture")
    return lines + _wrapped(2, "links", skeleton.links)


def _wrapped(depth: int, key: str, items: Sequence, reason: str = "") -> list[str]:
    """A list, over as many lines as it needs."""
    parts, lines, line = list(map(quoted, items)), [], f"{'  ' * depth}{key}: ["
    for number, part in enumerate(parts):
        piece = part + ("" if number == len(parts) - 1 else ", ")
        if len(line + piece) > _WIDTH:
            lines.append(line.rstrip())
            line = "  " * (depth + 1)
        line += piece
    last = f"{line}]"
    fits = reason and len(f"{last}  # {reason}") <= _WIDTH
    return [*lines, f"{last}  # {reason}" if fits else last]


def _model(project: Project) -> list[str]:
    lines = ["MODEL:"]
    for key, choice in backbone(project.facts, project.machine, project.weights):
        value = choice.value if str(choice.value).startswith("{") else quoted(choice.value)
        lines += _line(1, key, value, choice.reason)
    size = input_size(project.facts, project.machine)
    lines += _line(1, "IMAGE_SIZE", size.value, size.reason)
    return [*lines, *_line(1, "SIGMA", str(sigma(project.facts, project.weights)))]


def _training(project: Project) -> list[str]:
    facts, machine = project.facts, project.machine
    count, (labelled, unlabelled) = steps(facts, machine), batches(facts, machine)
    epochs = max(1, round(count / _epoch(count)))
    why = f"{epochs * _epoch(count)} steps for {facts.learned} labels on {'a GPU' if machine.gpus else 'a CPU'}"
    length = f"END_EPOCH: {epochs}, STEPS_PER_EPOCH: {_epoch(count)}, EVAL_INTERVAL: {max(1, epochs // 6)}"
    rate = f"LR: {learning_rate(facts, project.weights)}, SCHEDULE: cosine, WARMUP_STEPS: {_EPOCH}"
    start = 0.35 if facts.learned <= 20 else 0.2
    return [
        "ALGORITHM: cotrain1  # two networks, each taught by the running mean (EMA) of the other",
        f"TRAIN: {{BATCH_SIZE: {labelled}, BATCH_SIZE_UNSUP: {unlabelled}, OPTIMIZER: adamw, {rate},",
        f"  {length},  # {why}",
        f"  UNSUP_START: {start}, UNSUP_RAMP: 0.2}}  # shares of the steps: labels alone; until the pool counts fully",
    ]


def _epoch(count: int) -> int:
    return _EPOCH if count <= 1500 else 100 if count <= 5000 else 500


def _pool_labels(project: Project) -> list[str]:
    few = project.facts.learned <= 60
    lines = ["EMA_DECAY: 0.995  # the teacher is a mean over 200 steps, and over a ninth of the run before step 1,790"]
    rows = ["TARGET: redrawn", f"MIN_SCORE: {0.3 if few or project.facts.view == BOTTOM_UP else 0.2}"]
    if not project.multiview:
        return [*lines, f"PSEUDO: {{{', '.join(rows)}}}  # keypoints that a teacher is less sure of are not taught"]
    lines += ["PSEUDO:  # multi-view: keypoints that a picture shows twice, as their names say; see docs/method.md"]
    return [*lines, *(f"  {row}" for row in rows), *_wrapped(1, "MULTIVIEW_PAIRS", project.multiview)]


def _augment(project: Project) -> list[str]:
    why = "  # no mirrored views: left and right are not known" if not project.facts.pairs else ""
    lines = [f"AUGMENT:{why}", *(f"  {key}: {value}" for key, value in views(project.facts))]
    if project.facts.view == FRAMES:
        return [*lines, "  CUTOUT: {JOINTS: 5, HALF_SIZE: [9.0, 20.0], JITTER: 0.0}"]
    return [*lines, "  HARD_VIEWS: [[]]  # nothing hidden: with few steps that costs more than it brings"]


def _rest(project: Project) -> list[str]:
    lines, pixels = [], max(2, round(0.05 * max(project.facts.size)))
    if project.test and project.facts.view == FRAMES:
        lines += [
            f"TEST: {{PIXELS: {pixels}.0}}  # also the share of keypoints within so many pixels, 5 % of the picture"
        ]
    return [*lines, 'TRACKING: {WANDB: "off"}  # auto: online where you are logged in']
