"""Whole pose networks from the checkpoints of others: as a start, as far as they fit, or completely, to be scored."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from semipose.codecs.regression import RegressionCodec
from semipose.codecs.simcc import BETA, SimccCodec
from semipose.errors import ModelError
from semipose.models.feature_levels import Normalisation
from semipose.models.matching import MatchReport, compare, load_matching, own_names, shorten
from semipose.models.pose_names import PoseFile, find_format
from semipose.models.timm_backbone import TimmBackbone
from semipose.models.weight_file import IMAGENET, read_keypoints, read_weights

FLOW, LOSS = "head.flow.", "head.loss_module."  # only the loss needs them; those of others are other flows
NORMALISATION = ("mean", "std")  # buffers of ours; others have them in their code
FIRST = "conv1.weight"
KEYS = {"backbone": "MODEL.BACKBONE", "neck": "MODEL.NECK", "head": "MODEL.CODEC"}
SHOWN = 3  # differences in a refusal
LEAST = 0.5  # share of a backbone's tensors that fit where the file is of the same backbone, but for some layers


@dataclass(frozen=True)
class Start:
    """Where the weights of a network come from.

    Attributes:
        source: as MODEL.PRETRAINED; "" = from scratch.
        number: which network of a file with two; a file with one gives the same to all.
        colors: order of the channels that the file's network was trained with: "rgb", "bgr" or "auto", as its authors
            have it.
        keypoints: names of the network's keypoints, in their order; () if they are not known.
    """

    source: str = ""
    number: int = 0
    colors: str = "auto"
    keypoints: tuple[str, ...] = ()


def find_pose_file(start: Start) -> PoseFile | None:
    """The pose checkpoint that `start` names; None if it names something else, such as weights of a backbone.

    Raises:
        ModelError: the file cannot be read; or `colors` is "bgr" for something else than a checkpoint of others.
    """
    is_file = start.source not in ("", IMAGENET) and Path(start.source).is_file()
    file = find_format(read_weights(Path(start.source))) if is_file else None
    if file and file.names:
        file = replace(file, keypoints=read_keypoints(Path(start.source)))
    if start.source:
        check_colors(start, file)
    return file


def check_colors(start: Start, file: PoseFile | None) -> None:
    """Raises ModelError for "bgr" where nothing has to be turned: our own files know their colours."""
    if start.colors == "bgr" and (file is None or not file.format.colors):
        raise ModelError(f"MODEL.PRETRAINED_COLORS is bgr; {start.source!r} is no pose checkpoint of others")


def load_start(network: nn.Module, file: PoseFile, start: Start) -> MatchReport:
    """Load what fits by name and shape; a head of another kind, or of a run with other keypoints, is left out.

    Args:
        network: a `PoseNetwork`.

    Raises:
        ModelError: it is of another backbone.
    """
    state, origin = converted(network, file, start)
    alike = head_layers(state) == head_layers(network.state_dict()) and not _has_other_keypoints(file, start)
    others = () if alike else _of_head(state)
    kept = {name: tensor for name, tensor in state.items() if name not in others}
    report = compare(network, kept, origin)
    fits, whole = (
        sum(name.startswith("backbone.") for name in names) for names in (report.matched, own_names(network))
    )
    if fits < LEAST * whole:  # some fit by chance
        raise ModelError(
            f"pretrained weights {start.source!r}: {origin}; only {fits} of {whole} tensors of the backbone fit, so it "
            f"is of another one (MODEL.BACKBONE); the file has {shorten(tuple(state))}"
        )
    load_matching(network, kept)
    return _without_normalisation(replace(report, unexpected=report.unexpected + others))


def load_completely(network: nn.Module, file: PoseFile, start: Start) -> MatchReport:
    """Load a network as it is. Only what the loss needs may be left out, such as the flow of RLE.

    Raises:
        ModelError: it does not fit; the message names what differs, and the keys that decide.
    """
    state, origin = converted(network, file, start)
    own = network.state_dict()
    report = _without_normalisation(compare(network, state, origin))
    differences = [_difference(name, state[name], own[name]) for name in report.shape_mismatch]
    differences += [f"{name} is in the file only" for name in report.unexpected if not name.startswith(LOSS)]
    differences += [f"{name} is not in the file" for name in report.missing if not name.startswith(FLOW)]
    if differences:
        names = (*report.shape_mismatch, *report.unexpected, *report.missing)
        keys = [key for part, key in KEYS.items() if any(name.startswith(f"{part}.") for name in names)]
        keys += ["MODEL.HIDDEN"] if any(name.startswith("head.hidden.") for name in names) else []
        raise ModelError(
            f"{start.source} ({origin}) does not fit the network of the configuration: "
            f"{shorten(tuple(differences), SHOWN, '; ')}; see {', '.join(keys) or 'their names'}"
        )
    load_matching(network, state)
    return report


def converted(network: nn.Module, file: PoseFile, start: Start) -> tuple[dict[str, Tensor], str]:
    """One network of `file` as ours would hold it, so that it computes the same, and what was done to it."""
    kind, number = file.format, min(start.number, len(file.networks) - 1)
    state, done = dict(file.networks[number]), [kind.title]
    if len(file.networks) > 1 or file.names:
        name = f" ({file.names[number]})" if file.names else ""
        done.append(f"network {number + 1} of {len(file.networks)}{name}")
    if isinstance(network.backbone, TimmBackbone) and kind.colors:
        state = {name.replace("backbone.", "backbone.net.", 1): tensor for name, tensor in state.items()}
    rows = _rows(file.keypoints, start.keypoints, state)
    if rows:
        state |= {name: state[name][rows] for name in ("head.final.weight", "head.final.bias")}
        done.append(f"{len(rows)} of {len(file.keypoints)} channels by the names of their keypoints")
    if kind.mmpose:
        state |= _from_mmpose(network.codec, state)
    colors = kind.colors if start.colors == "auto" else start.colors
    if kind.colors:
        done.append(f"trained on {colors.upper()}")
        state |= {"mean": _channels(Normalisation.mean), "std": _channels(Normalisation.std)}
    if kind.colors and colors == "bgr":
        state |= _turned(state)
    return state, ", ".join(done)


def _has_other_keypoints(file: PoseFile, start: Start) -> bool:
    """Whether a run of ours had keypoints by whose names no channels of its head can be picked."""
    if not file.names or not file.keypoints or start.keypoints in ((), file.keypoints):
        return False
    return not _rows(file.keypoints, start.keypoints, file.networks[0])


def head_layers(state: dict[str, Tensor]) -> set[str]:
    """Names of the layers of a head, without those that only a loss needs: they tell what kind it is."""
    return {name.split(".")[1] for name in _of_head(state) if not name.startswith((FLOW, LOSS))}


def _of_head(state: dict[str, Tensor]) -> tuple[str, ...]:
    return tuple(name for name in state if name.startswith("head."))


def _rows(theirs: tuple[str, ...], ours: tuple[str, ...], state: dict[str, Tensor]) -> list[int]:
    """Where our keypoints are among their channels; [] where they are the same, or the file does not have these."""
    fits = theirs and theirs != ours and len(state.get("head.final.bias", ())) == len(theirs)
    return [theirs.index(name) for name in ours] if fits and set(ours) <= set(theirs) else []


def _from_mmpose(codec, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """What has to change so that our codec decodes an MMPose head as MMPose does.

    Its coordinates are x / W, ours (x + 0.5) / W. Its shares of SimCC's bins are softmax(output), ours
    softmax(BETA * output).
    """
    if isinstance(codec, SimccCodec):
        return {
            name: tensor / BETA for name, tensor in state.items() if name.startswith(("head.columns.", "head.rows."))
        }
    bias = state.get("head.final.bias")
    if isinstance(codec, RegressionCodec) and bias is not None and len(bias) % codec.settings.joints == 0:
        parts = bias.view(codec.settings.joints, -1).clone()
        parts[:, :2] += 0.5 / torch.tensor(codec.settings.size)
        return {"head.final.bias": parts.flatten()}
    return {}


def _turned(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A network for BGR as one for RGB: the input channels of its first convolution, mean and std in turned order."""
    first = next((name for name in (f"backbone.{FIRST}", f"backbone.net.{FIRST}") if name in state), None)
    names = [name for name in (first, *NORMALISATION) if name in state]
    return {name: state[name].flip(1) for name in names}


def _channels(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values).view(1, 3, 1, 1)


def _without_normalisation(report: MatchReport) -> MatchReport:
    """Without mean and std: they come from the authors' code, not from the file."""
    names = {
        field: tuple(name for name in getattr(report, field) if name not in NORMALISATION)
        for field in ("matched", "missing")
    }
    return replace(report, **names)


def _difference(name: str, theirs: Tensor, ours: Tensor) -> str:
    if name == "head.final.weight" and theirs.shape[1:] == ours.shape[1:]:
        return f"{name} has {len(theirs)} channels, the configuration {len(ours)} (DATASET.SKELETON)"
    shapes = ("x".join(map(str, tensor.shape)) for tensor in (theirs, ours))
    return "{} is {}, that of the configuration {}".format(name, *shapes)
