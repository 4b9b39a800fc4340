"""Data sources in a configuration: a set name, a path, or a mapping of the keys below; one of them or a list."""

from semipose.config.convert import convert, parse
from semipose.config.key import Key, check_allowed
from semipose.errors import ConfigError
from semipose.plain_yaml import check_keys, parse_yaml

SOURCE_KEYS = ("DATASET.TRAIN_SET", "DATASET.TRAIN_UNSUP_SET", "DATASET.TEST_SET")

# Every key of a source, with its default and what is allowed; paths are relative to DATASET.ROOT.
KEYS = {
    "name": Key(""),  # how results are keyed; "" = name of the annotation file or folder
    # coco, crowdpose, ochuman, jhmdb, aic, mpii, lsp, labelme, lightning_pose, yolo, images, video; "" = by the path
    "format": Key(""),
    "annotation": Key(""),  # set name, annotation file, folder, zip archive of images or video
    "images": Key(""),  # folder or zip archive that file names refer to; "" = looked for in the usual places
    "skeleton": Key(""),  # of the annotation; "" = that of the format (mpii, aic, ...), or else DATASET.SKELETON
    # [[source, target], [[a, b], target], ...] by name or number; [a, b] = mean of two; [] = by equal names
    "keypoint_pairs": Key([]),
    # images to leave out: ends of paths such as img012.png, val/* or *_old.jpg, or a .txt file with one in each line
    # or frames by number, img{100..250}.png
    "exclude": Key([]),
    "only": Key([]),  # the images to take, named in the same way; [] = all
    # one individual in each picture: the whole picture is its box, as of bare pictures and videos; not bottom-up
    "whole_frames": Key(False),
    # labelme, lightning_pose: leave out points whose labels are no keypoints of the skeleton; else they are faults
    "ignore_unknown": Key(False),
    "split": Key("", choices=("", "train", "val", "test")),  # yolo: part of data.yaml; "" = train, or val for TEST_SET
    # COCO's formats, yolo: ids or names of the categories to read; [] = all with the skeleton's keypoints, as one class
    "categories": Key([]),
    "start": Key(0, low=0),  # leave out this many persons (bottom-up: pictures) at the beginning
    "length": Key(0, low=0),  # then take this many; 0 = all
    "sample_ratio_factor": Key(1.0, low=1e-6),  # the source counts as round(N * factor) persons in a pass
    "source_ratio": Key(0.0, low=0),  # share of the source in every batch (for all sources of a side, or for none)
    "group_id_mapping_file": Key(""),  # json {annotation id: group id} (semipose groups)
    "group_id_weight": Key({}),  # {group id: factor} of the supervised loss; other groups 1
    "boxes": Key(""),  # detections [{image_id, category_id, bbox, score}] in place of the annotation's boxes
    "box_threshold": Key(0.0, low=0),  # smallest score of a detection
    # ids of the categories of `boxes` that are persons; [] = those of the annotation that have keypoints
    "box_categories": Key([]),
    "head_boxes": Key(""),  # MPII: .mat with head boxes, for PCKh with the json annotation
    "one_based": Key(True),  # MPII: joints of the json count from 1
    "every": Key(1, low=1),  # video: 5 = take every fifth frame
    "camera": Key(""),  # lifting: name in LIFT.CAMERAS, where the frames do not say it; for a csv it is needed
    "keypoints_2d": Key(""),  # lifting: .npy of a detector, (frames, K, 2 or 3), in place of the annotation's 2D
    # whether the labels are for images as stored or as their EXIF orientation turns them; auto = as annotated sizes say
    "exif": Key("auto", choices=("auto", "stored", "upright")),
    "white": Key(0.0, low=0),  # images with more than 8 bits: the value that becomes white; 0 = by the range they use
    # validation only: oks, pck, pckh, jhmdb, auc, epe, nme, crowdpose; [] = those of the format, or else TEST.METRICS
    "metrics": Key([]),
    "output_keypoint_indices": Key([]),  # of the network's keypoints, those that the annotation has; [] = equal names
}
SOURCE = {name: key.default for name, key in KEYS.items()}


def convert_sources(value: object, full: str, where: str) -> str | list:
    """A set name as it is; any other value as a list of names and mappings with the keys of `KEYS`.

    Raises:
        ConfigError: naming file or command line, key, value, and what is allowed.
    """
    entries = _entries(value)
    if full != "DATASET.TRAIN_UNSUP_SET" and isinstance(entries, str):
        return entries
    entries = entries if isinstance(entries, list) else [entries] if entries else []
    return [_entry(entry, full, where) for entry in entries]


def _entries(value: object) -> object:
    """A text of the command line as a value: `[a, {annotation: b}]`, `{...}`, or the text itself."""
    if not (isinstance(value, str) and value.startswith(("[", "{"))):
        return value
    try:
        return parse_yaml(value, value)
    except ConfigError:
        return value


def _entry(entry: object, full: str, where: str) -> str | dict:
    if isinstance(entry, str):
        return entry
    if not isinstance(entry, dict):
        raise ConfigError(f"{where}: {full}: {entry!r} is not allowed; text or a mapping expected, such as a set name")
    check_keys(entry, SOURCE, f"{where}: {full}")
    if not entry.get("annotation"):
        raise ConfigError(f"{where}: {full}: {entry!r} has no 'annotation': a set name, file, folder or video")
    return {key: _value(key, value, f"{full}.{key}", where) for key, value in entry.items()}


def _value(key: str, value: object, full: str, where: str) -> object:
    if key == "keypoint_pairs":
        return _pairs(value, full, where)
    if key == "group_id_weight":
        return _group_weights(value, full, where)
    if key in ("output_keypoint_indices", "box_categories"):
        value = value if isinstance(value, list) else [value]
        return [convert(0, item, full, where) for item in value]
    if key == "categories" and type(value) is int:
        value = [value]
    value = convert(SOURCE[key], value, full, where)
    check_allowed(KEYS[key], value, full, where)
    if key == "name" and (value in (".", "..") or set(value) & set("/\\")):
        raise ConfigError(f"{where}: {full}: {value!r} is not allowed; a name that can be that of a file expected")
    return value


def _pairs(value: object, full: str, where: str) -> list:
    if not isinstance(value, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in value):
        raise ConfigError(f"{where}: {full}: {value!r} is not allowed; [[source, target], ...] expected")
    return [[_keypoints(source, full, where), _keypoint(target, full, where)] for source, target in value]


def _keypoints(value: object, full: str, where: str) -> object:
    if isinstance(value, list) and len(value) == 2:
        return [_keypoint(item, full, where) for item in value]
    return _keypoint(value, full, where)


def _keypoint(value: object, full: str, where: str) -> int | str:
    value = parse(value) if isinstance(value, str) else value
    if type(value) not in (int, str):
        raise ConfigError(f"{where}: {full}: {value!r} is not allowed; the name or number of a keypoint expected")
    return value


def _group_weights(value: object, full: str, where: str) -> dict[int, float]:
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: {full}: {value!r} is not allowed; {{group id: factor}} expected")
    weights = {convert(0, key, full, where): convert(0.0, factor, full, where) for key, factor in value.items()}
    for factor in weights.values():
        if not 0 <= factor < float("inf"):
            raise ConfigError(f"{where}: {full}: {factor!r} is not allowed; a factor of 0 or more expected")
    return weights
