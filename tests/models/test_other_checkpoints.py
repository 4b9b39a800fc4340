"""Pose checkpoints of others: each file is made here under its authors' names, and must compute what they compute."""

import copy
import random
import sys
import types
from functools import cache

import numpy as np
import pytest
import torch
from other_networks import (
    HRNET,
    HeatmapHead,
    MMPose,
    PoseDual,
    PoseHRNet,
    PoseResNet,
    RLEHead,
    SimCCHead,
    seen,
    shuffled,
)  # fmt: skip
from refusals import refused

from semipose.codecs.rle import LEAST_SIGMA
from semipose.models import Start, build_pose_network
from semipose.models.pose_files import find_pose_file, load_completely
from semipose.models.pose_names import UNION
from semipose.models.pose_network import NetworkPlan
from semipose.models.timm_import import import_timm
from semipose.skeletons import get_skeleton

SIZE, K = (64, 96), 5
COCO = tuple(get_skeleton("coco").keypoints)
PLANS = {
    "resnet": NetworkPlan("resnet18", K, SIZE, codec="msra"),
    "hrnet": NetworkPlan(f"timm/{HRNET}", K, SIZE, codec="msra"),
    "simcc": NetworkPlan("resnet18", K, SIZE, codec="simcc", bins_at_edges=True),
    "rle": NetworkPlan("resnet18", K, SIZE, codec="rle", hidden=0),
    "light": NetworkPlan("light_unet", K, SIZE),
    "coco": NetworkPlan("resnet18", len(COCO), SIZE, codec="msra"),
}


@cache
def pose_resnet() -> PoseResNet:
    return shuffled(PoseResNet(K))


def images() -> torch.Tensor:
    return torch.rand(2, 3, SIZE[1], SIZE[0], generator=torch.Generator().manual_seed(0))


def saved(network, path, wrap=lambda state: state) -> str:
    torch.save(wrap(network.state_dict()), path)
    return str(path)


def complete(plan: NetworkPlan, start: Start):
    """The network, as it is scored."""
    network = build_pose_network(plan).eval()
    return network, load_completely(network, find_pose_file(start), start)


def same(a, b):
    torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def check_maps(plan, theirs, start, colors):
    expected = theirs(seen(images(), colors))
    network, report = complete(plan, start)
    same(network(images()), expected)
    started = build_pose_network(plan, start).eval()
    same(started(images()), expected)
    assert started.report == report and not report.missing and not report.unexpected
    return str(report)


WRAPS = {
    "bare": lambda state: state,
    "in training": lambda state: {
        "epoch": 3, "model": "pose", "state_dict": {f"module.{name}": t for name, t in state.items()},
        "perf": np.float64(0.7), "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{}]},
    },
    "old": lambda state: {name: t for name, t in state.items() if "num_batches" not in name},
}  # fmt: skip


@pytest.mark.parametrize("wrap", WRAPS)
def test_simple_baseline(tmp_path, wrap):
    theirs = pose_resnet()
    report = check_maps(PLANS["resnet"], theirs, Start(saved(theirs, tmp_path / "x.pth", WRAPS[wrap])), "bgr")
    assert "SimpleBaseline" in report and "BGR" in report


def test_colours_can_be_given(tmp_path):
    theirs = pose_resnet()
    start = Start(saved(theirs, tmp_path / "x.pth"), colors="rgb")
    assert "RGB" in check_maps(PLANS["resnet"], theirs, start, "rgb")


def test_hrnet(tmp_path):
    theirs = shuffled(PoseHRNet(K))
    assert "HRNet" in check_maps(PLANS["hrnet"], theirs, Start(saved(theirs, tmp_path / "x.pth")), "rgb")


def test_hrnet_for_classes_is_a_backbone(tmp_path):
    file = saved(import_timm().create_model(HRNET), tmp_path / "cls_hrnet.pth")
    report = build_pose_network(PLANS["hrnet"], Start(file)).report
    assert report.origin == "" and "final_layer.0.weight" in report.unexpected and not report.missing


MMENGINE = {
    "new": lambda state: {"meta": {"dataset_meta": {"sigmas": np.ones(3), "kinds": {1}}}, "state_dict": state},
    "before 1.0": lambda state: {
        "state_dict": {f"{'keypoint_' * n.startswith('head')}{n}": t for n, t in state.items()}
    },
}


@pytest.mark.parametrize("kind", MMENGINE)
def test_mmpose_heatmaps(tmp_path, kind):
    theirs = shuffled(MMPose(HeatmapHead(K)))
    start = Start(saved(theirs, tmp_path / "x.pth", MMENGINE[kind]))
    assert "MMPose" in check_maps(PLANS["resnet"], theirs, start, "rgb")


@torch.no_grad()
def test_mmpose_simcc(tmp_path):
    theirs = shuffled(MMPose(SimCCHead(K, SIZE)))
    start = Start(saved(theirs, tmp_path / "x.pth"))
    along_x, along_y = theirs(seen(images(), "rgb"))
    network, report = complete(PLANS["simcc"], start)
    output = network(images())
    same(10 * output, torch.cat([along_x, along_y], -1))  # our softmax is that of 10 times the output
    at_home = torch.stack([along_x.argmax(-1), along_y.argmax(-1)], -1) / 2
    points, scores = network.codec.decode(output)
    assert (points - at_home).abs().max() <= 0.25 and 0 < scores.min() < scores.max()
    assert build_pose_network(PLANS["simcc"], start).report == report and not report.unexpected


@torch.no_grad()
def test_mmpose_rle(tmp_path):
    theirs = shuffled(MMPose(RLEHead(K)))
    start = Start(saved(theirs, tmp_path / "x.pth"))
    theirs_out = theirs(seen(images(), "rgb"))
    network, report = complete(PLANS["rle"], start)
    output = network(images())
    points, scores = network.codec.decode(output)
    same(output[..., 2:], theirs_out[..., 2:])
    torch.testing.assert_close(points, theirs_out[..., :2] * torch.tensor(SIZE), atol=1e-3, rtol=0)
    same(scores, (1 - LEAST_SIGMA) * (1 - theirs_out[..., 2:].sigmoid().mean(-1)))
    turned = network.codec.unmirror(output, torch.arange(K))
    at_home = (1 - theirs_out[..., 0] - 1 / SIZE[0]) * SIZE[0]
    torch.testing.assert_close(network.codec.decode(turned)[0][..., 0], at_home, atol=1e-3, rtol=0)
    assert all(name.startswith("head.flow.") for name in report.missing) and report.missing
    assert all(name.startswith("head.loss_module.flow_model.") for name in report.unexpected) and report.unexpected
    assert "head.loss_module.flow_model.s.weight" in str(report)


@torch.no_grad()
def test_two_networks_of_24_channels(tmp_path):
    """COCO's 17 are not the first 17: they are found by name, as the authors' data sets find them."""
    theirs = shuffled(PoseDual(*(PoseResNet(24, final="final_layer_1") for _ in range(2))))
    file = saved(theirs, tmp_path / "x.pth", lambda state: {"state_dict": state, "epoch": 1})
    rows = [11, 21, 20, 23, 22, 14, 17, 15, 18, 16, 19, 4, 1, 5, 2, 6, 3]
    assert [UNION[row] for row in rows] == list(COCO)
    for number, expected in enumerate(theirs(seen(images(), "bgr"))):
        network, report = complete(PLANS["coco"], Start(file, number, keypoints=COCO))
        same(network(images()), expected[:, rows])
        assert "17 of 24" in str(report) and f"network {number + 1} of 2" in str(report)
    whole, _ = complete(NetworkPlan("resnet18", 24, SIZE, codec="msra"), Start(file, 1))
    same(whole(images()), expected)
    mouse = Start(file, keypoints=tuple(get_skeleton("mirror_mouse").keypoints))
    refused(lambda: complete(PLANS["coco"], mouse), "head.final.weight", "24", "17", "DATASET.SKELETON")


def test_two_students_start_from_two_networks(tmp_path):
    theirs = PoseDual(shuffled(PoseHRNet(K), 1), shuffled(PoseHRNet(K), 2))
    file = saved(theirs, tmp_path / "x.pth")
    for number, own in enumerate((theirs.resnet, theirs.resnet2)):
        started = build_pose_network(PLANS["hrnet"], Start(file, number))
        assert torch.equal(started.head.final.weight, own.final_layer.weight)
        assert torch.equal(started.backbone.conv2.weight, own.conv2.weight) and not started.report.missing
    alone = saved(shuffled(PoseHRNet(K)), tmp_path / "y.pth")  # of one, both get the same
    assert not build_pose_network(PLANS["hrnet"], Start(alone, 1)).report.missing


def test_start_leaves_out_and_names_what_does_not_fit(tmp_path):
    theirs = shuffled(PoseResNet(K + 1))
    state = theirs.state_dict()
    del state["layer4.1.conv2.weight"]
    torch.save(state | {"extra.weight": torch.zeros(1)}, tmp_path / "x.pth")
    network = build_pose_network(PLANS["resnet"], Start(str(tmp_path / "x.pth")))
    assert network.report.shape_mismatch == ("head.final.weight", "head.final.bias")
    assert network.report.missing == ("backbone.layer4.1.conv2.weight",)
    assert network.report.unexpected == ("extra.weight",)
    assert torch.equal(network.neck.deconv[6].weight, theirs.deconv_layers[6].weight)
    assert torch.equal(network.backbone.layer4[1].conv1.weight, theirs.layer4[1].conv1.weight)


def test_a_head_of_another_kind_is_left_out(tmp_path):
    """The last convolution of SimCC has the shape of heatmaps, but does not make them."""
    file = saved(shuffled(MMPose(SimCCHead(K, SIZE))), tmp_path / "x.pth")
    report = build_pose_network(PLANS["resnet"], Start(file)).report
    assert {"head.final.weight", "head.columns.weight"} <= set(report.unexpected)
    assert report.missing == ("head.final.weight", "head.final.bias") and "neck.deconv.6.weight" in report.matched
    refused(lambda: complete(PLANS["resnet"], Start(file)), "head.columns.weight", "MODEL.CODEC")


def other_plan(**changes) -> NetworkPlan:
    return NetworkPlan(**vars(PLANS["resnet"]) | changes)


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (other_plan(backbone="resnet34"), ["MODEL.BACKBONE", "backbone.layer1.2.conv1.weight"]),
        (other_plan(backbone="resnet50"), ["MODEL.BACKBONE", "backbone.layer1.0.conv1.weight", "64x64x3x3"]),
        (other_plan(joints=K + 2), ["head.final.weight", "5 channels", "7", "DATASET.SKELETON"]),
        (other_plan(neck="pyramid"), ["MODEL.NECK", "neck."]),
        (other_plan(codec="udp_offset"), ["head.final.weight", "MODEL.CODEC"]),
        (other_plan(hidden=32), ["head.hidden.0.weight", "MODEL.HIDDEN"]),
    ],
)
def test_what_does_not_fit_is_not_scored(tmp_path, plan, words):
    start = Start(saved(pose_resnet(), tmp_path / "theirs.pth"))
    refused(lambda: complete(plan, start), "theirs.pth", "SimpleBaseline", *words)


def test_more_than_our_network_has_is_not_scored(tmp_path):
    theirs = copy.deepcopy(pose_resnet())
    theirs.prm = torch.nn.Conv2d(256, 256, 3)
    refused(lambda: complete(PLANS["resnet"], Start(saved(theirs, tmp_path / "x.pth"))), "prm.weight", "only")


def test_a_file_of_another_backbone_is_no_start(tmp_path):
    file = saved(MMPose(HeatmapHead(K)), tmp_path / "x.pth")
    refused(lambda: build_pose_network(PLANS["hrnet"], Start(file)), "x.pth", "MMPose", "backbone.conv1.weight")


def test_bgr_is_for_pose_checkpoints_of_others(tmp_path):
    own = build_pose_network(PLANS["light"])
    for name, state in (("own", own.state_dict()), ("backbone", own.backbone.state_dict())):
        torch.save(state, tmp_path / name)
        start = Start(str(tmp_path / name), colors="bgr")
        refused(lambda: build_pose_network(PLANS["light"], start), "MODEL.PRETRAINED_COLORS", name)  # noqa: B023


@pytest.mark.parametrize("kind", ["cotrain", "ema", "student", "bare", "exported"])
def test_our_own_files_as_a_start(tmp_path, kind):
    first, second = (shuffled(build_pose_network(PLANS["light"]), seed) for seed in (1, 2))
    first.mean += 0.1  # what a network was trained with comes along
    places = {
        "cotrain": ("teachers.first.module.", "teachers.second.module."), "ema": ("teacher.module.",),
        "student": ("student.network.",), "bare": ("",), "exported": ("0.", "1."),
    }[kind]  # fmt: skip
    state = {f"{place}{name}": t for place, net in zip(places, (first, second)) for name, t in net.state_dict().items()}
    if kind == "cotrain":  # the EMAs are the result
        zeros = {name: tensor * 0 for name, tensor in first.state_dict().items()}
        state |= {f"students.{which}.network.{n}": t for which in ("first", "second") for n, t in zeros.items()}
    whole = state if kind in ("bare", "exported") else {"config": "", "algorithm": state, "step": 3}
    torch.save(whole, tmp_path / "best.pth")
    for number, network in enumerate((first, second)[: len(places)]):
        started = build_pose_network(PLANS["light"], Start(str(tmp_path / "best.pth"), number))
        assert all(torch.equal(a, b) for a, b in zip(network.state_dict().values(), started.state_dict().values()))
        assert "semipose" in str(started.report) and not started.report.missing and not started.report.unexpected
        if kind in ("cotrain", "ema", "student"):
            names = {"cotrain": ("ema_first", "ema_second")}.get(kind, (kind,))
            assert f"network {number + 1} of {len(names)} ({names[number]})" in started.report.origin


@pytest.mark.parametrize(
    ("now", "rows"),
    [("abcde", [0, 1, 2, 3, 4]), ("edcba", [4, 3, 2, 1, 0]), ("db", [3, 1]), ("abcdx", None), ("abcdex", None)],
)
def test_channels_of_a_run_of_ours_are_picked_by_the_names_of_its_keypoints(tmp_path, now, rows):
    own = shuffled(build_pose_network(NetworkPlan("light_unet", 5, SIZE, codec="msra")))
    state = {f"student.network.{name}": tensor for name, tensor in own.state_dict().items()}
    whole = {"config": "", "algorithm": state, "skeleton": {"name": "mine", "keypoints": list("abcde")}}
    torch.save(whole, tmp_path / "best.pth")
    plan = NetworkPlan("light_unet", len(now), SIZE, codec="msra")
    started = build_pose_network(plan, Start(str(tmp_path / "best.pth"), keypoints=tuple(now)))
    if rows is None:
        assert "head.final.weight" in started.report.unexpected and "backbone" in started.report.matched[0]
    else:
        assert torch.equal(started.head.final.weight, own.head.final.weight[rows]) and not started.report.unexpected


def test_code_beside_the_weights_is_still_refused(tmp_path):
    content = {"state_dict": pose_resnet().state_dict(), "random": random.Random(0)}
    torch.save(content, tmp_path / "x.pth")
    refused(lambda: build_pose_network(PLANS["resnet"], Start(str(tmp_path / "x.pth"))), "x.pth", "code")


def test_the_log_of_mmengine_is_not_read(tmp_path, monkeypatch):
    """Its checkpoints of a training hold objects of classes that are not here; they stay unread."""

    class HistoryBuffer:
        def __init__(self):
            self.history, self.methods = np.ones(3), {"mean": self.mean}

        def mean(self):
            return self.history.mean()

    names = ("mmengine", "mmengine.logging", "mmengine.logging.history_buffer")
    HistoryBuffer.__module__, HistoryBuffer.__qualname__ = names[-1], "HistoryBuffer"
    theirs = MMPose(HeatmapHead(K))
    with monkeypatch.context() as there:
        for name in names:
            there.setitem(sys.modules, name, types.ModuleType(name))
        sys.modules[names[-1]].HistoryBuffer = HistoryBuffer
        hub = {"log_scalars": {"train/loss": HistoryBuffer()}}
        file = saved(theirs, tmp_path / "x.pth", lambda state: {"state_dict": state, "message_hub": hub})
    assert not build_pose_network(PLANS["resnet"], Start(file)).report.missing
