import pytest
import torch

from semipose.errors import ConfigError
from semipose.views.box_cutout import BoxPolicy, CutMixPolicy
from semipose.views.hard_operations import HARD_OPERATIONS, check_operations, occlude
from semipose.views.joint_cutout import CutoutPolicy
from semipose.views.joint_paste import PastePolicy
from semipose.views.occlusion import OcclusionPolicies, PredictedJoints
from semipose.views.photometric import ColorPolicy

SIZE, BATCH, JOINTS = (48, 64), 8, 17
FILL = torch.tensor([0.485, 0.456, 0.406])
POLICIES = OcclusionPolicies()
EASY = torch.tensor([True, False, True, False, False, True, False, True])
BY_NAME = pytest.mark.parametrize("name", HARD_OPERATIONS)
NEEDS_A_DONOR = ("joint_paste", "cut_occlude", "cutmix")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def predicted(easy=EASY, batch=BATCH, size=SIZE, seed=1):
    stream = generator(seed)
    keypoints = torch.rand(batch, JOINTS, 2, generator=stream) * torch.tensor(size)
    scores = torch.rand(batch, JOINTS, generator=stream)
    return PredictedJoints(keypoints, scores, (scores > 0.3).float(), easy)


def photos(batch=BATCH, size=SIZE):
    return torch.rand(batch, 3, size[1], size[0], generator=generator(2))


def flat_images(batch=BATCH, size=SIZE):
    """Each image in a grey of its own, (number + 1) / 16; none of them is the fill."""
    return ((torch.arange(batch) + 1) / 16).view(-1, 1, 1, 1).repeat(1, 3, size[1], size[0])


def apply(images, names, joints=None, policies=POLICIES, seed=0):
    return occlude(images, names, joints or predicted(), policies, FILL, generator(seed))


def changed(images, others):
    """(B,) bool"""
    return (images != others).flatten(1).any(1)


@pytest.mark.parametrize("names", [["joint_mix"], ("cutout", "joint_mix")])
def test_an_unknown_name_is_an_error_that_lists_the_known(names):
    for call in (lambda: check_operations(names), lambda: apply(photos(), names)):
        with pytest.raises(ConfigError) as error:
            call()
        assert "'joint_mix'" in str(error.value) and all(name in str(error.value) for name in HARD_OPERATIONS)


def test_one_name_in_place_of_a_list_is_an_error():
    with pytest.raises(ConfigError, match="'cutout'"):
        check_operations("cutout")


def test_known_names_pass_and_no_operation_is_the_same_image():
    check_operations(list(HARD_OPERATIONS))
    check_operations(())
    images = photos()
    assert apply(images, ()) is images


@BY_NAME
@pytest.mark.parametrize("size", [(48, 64), (64, 40)])
def test_every_operation_acts_and_leaves_its_input(name, size):
    images, joints = photos(size=size), predicted(size=size)
    before = images.clone(), [t.clone() for t in vars(joints).values()]
    hard = apply(images, [name], joints)
    assert hard.shape == images.shape and hard.dtype == images.dtype
    assert hard.min() >= 0 and hard.max() <= 1
    assert changed(hard, images).sum() >= (4 if name == "rand_augment" else BATCH)
    assert torch.equal(images, before[0])
    assert all(torch.equal(a, b) for a, b in zip(vars(joints).values(), before[1]))


@BY_NAME
def test_a_function_of_its_own_generator(name):
    images, state = photos(), torch.get_rng_state()
    first, again, other = (apply(images, [name], seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


@BY_NAME
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_kept(name, dtype):
    images = photos().to(dtype)
    hard = apply(images, [name])
    assert hard.dtype == dtype and changed(hard, images).any()


@BY_NAME
@pytest.mark.parametrize("easy", [None, torch.tensor([True]), torch.tensor([False])])
def test_a_batch_of_one(name, easy):
    images = photos(1)
    hard = apply(images, [name], predicted(easy, 1))
    lone_hard_image = name == "by_difficulty" and easy is not None and not easy.item()
    if name in NEEDS_A_DONOR or lone_hard_image:
        assert torch.equal(hard, images)
    elif name != "rand_augment":
        assert changed(hard, images).all()


def test_operations_follow_each_other_with_one_stream():
    images, joints, stream = photos(), predicted(), generator()
    expected = images
    for name in ("cut_occlude", "cutout", "rand_augment"):
        expected = HARD_OPERATIONS[name](expected, joints, POLICIES, FILL, stream)
    assert torch.equal(apply(images, ("cut_occlude", "cutout", "rand_augment")), expected)
    assert not torch.equal(apply(images, ("cutout", "cut_occlude", "rand_augment")), expected)


@pytest.mark.parametrize("name", ["joint_cutout", "joint_mask", "joint_paste", "cut_occlude", "cutout", "cutmix"])
def test_counts_of_zero_switch_off(name):
    off = OcclusionPolicies(
        CutoutPolicy(0), (0, 0), PastePolicy(0), BoxPolicy(0), CutMixPolicy(count=0), colors=ColorPolicy()
    )
    assert torch.equal(apply(photos(), [name], policies=off), photos())


def point_like(**changes):
    """Policies whose boxes cover just the pixel of a joint."""
    return OcclusionPolicies(CutoutPolicy(5, (0.1, 0.1), 0.0), paste=PastePolicy(2, (0.1, 0.1)), **changes)


def on_pixels(easy=EASY, scores=None):
    """Joints of all images on different pixels, never on the border."""
    place = torch.arange(JOINTS)
    keypoints = torch.stack([2.0 + 5 * (place % 8), 5.0 + 20 * (place // 8)], -1).expand(BATCH, JOINTS, 2)
    scores = torch.ones(BATCH, JOINTS) if scores is None else scores
    return PredictedJoints(keypoints, scores, torch.ones(BATCH, JOINTS), easy)


@pytest.mark.parametrize(
    ("name", "counts"), [("joint_cutout", {5}), ("joint_mask", {4, 5}), ("adaptive_cutout", {2, 4, 8})]
)
def test_number_of_hidden_joints(name, counts):
    scores = torch.zeros(BATCH, JOINTS)
    scores[1, :10], scores[2:] = 0.9, 0.9
    hard = apply(flat_images(), [name], on_pixels(scores=scores), point_like())
    hidden = (hard == FILL.view(3, 1, 1)).all(1)
    places = on_pixels().keypoints.long()
    on_joints = torch.stack([hidden[b, places[b, :, 1], places[b, :, 0]] for b in range(BATCH)])
    assert torch.equal(on_joints.sum(1), hidden.flatten(1).sum(1)), "only joints are hidden"
    assert set(on_joints.sum(1).tolist()) == counts
    if name == "adaptive_cutout":
        assert on_joints.sum(1).tolist() == [2, 4] + [8] * 6


@pytest.mark.parametrize("mask", ["fixed", "adaptive"])
def test_easy_images_are_masked_and_hard_ones_get_patches_of_easy_ones(mask):
    donors_seen = set()
    for seed in range(20):
        hard = apply(flat_images(), ["by_difficulty"], on_pixels(), point_like(easy_mask=mask), seed)
        for b in range(BATCH):
            new = (hard[b] != flat_images()[b]).any(0)
            if EASY[b]:
                assert new.sum() in ((4, 5) if mask == "fixed" else (8,))
                assert (hard[b][:, new].T == FILL).all()
            else:
                greys = hard[b][:, new].unique()
                assert new.sum() == 2 and len(greys) == 1
                donor = round(greys.item() * 16) - 1
                donors_seen.add((b, donor))
    assert donors_seen == {(b, d) for b in range(BATCH) for d in range(BATCH) if EASY[d] and not EASY[b]}


def test_patches_of_easy_images_show_them_without_their_mask():
    policies = OcclusionPolicies(CutoutPolicy(5, (20.0, 30.0)), mask_joints=(15, 17))
    hard = apply(flat_images(), ["by_difficulty"], on_pixels(), policies)
    assert (hard[EASY] == FILL.view(3, 1, 1)).all(1).float().mean() > 0.35, "much of the easy images is hidden"
    greys = set((flat_images()[:, 0, 0, 0]).tolist())
    assert set(hard[~EASY].unique().tolist()) <= greys


@pytest.mark.parametrize("easy", [EASY, None])
def test_joint_paste_alone_has_all_receivers_and_easy_donors_or_any_without_a_split(easy):
    seen = set()
    for seed in range(60):
        hard = apply(flat_images(), ["joint_paste"], on_pixels(easy), point_like(), seed)
        for b in range(BATCH):
            new = hard[b][hard[b] != flat_images()[b]].unique()
            seen.add((b, round(new.item() * 16) - 1))
    allowed = torch.ones(BATCH) if easy is None else easy
    assert seen == {(b, d) for b in range(BATCH) for d in range(BATCH) if b != d and allowed[d]}


@pytest.mark.parametrize(("easy", "counts"), [(None, {8}), (torch.ones(BATCH).bool(), {4, 5})])
def test_by_difficulty_without_a_split_or_without_hard_images_is_a_mask(easy, counts):
    hard = apply(flat_images(), ["by_difficulty"], on_pixels(easy), point_like())
    assert set((hard == FILL.view(3, 1, 1)).all(1).flatten(1).sum(1).tolist()) <= counts


def test_a_batch_without_easy_images_stays_as_it_is():
    nobody = predicted(torch.zeros(BATCH).bool())
    assert torch.equal(apply(photos(), ["by_difficulty"], nobody), photos())


@pytest.mark.parametrize("name", [n for n in HARD_OPERATIONS if n != "rand_augment"])
def test_every_row_and_column_can_change(name):
    size = (36, 48)
    images, stream = photos(100, size), generator()
    share = torch.zeros(size[1], size[0])
    for seed in range(4):
        joints = predicted(torch.rand(100, generator=stream) < 0.5, 100, size, seed)
        hard = occlude(images, [name], joints, POLICIES, FILL, stream)
        share += (hard != images).any(1).float().mean(0) / 4
    rows = share.mean(1)
    assert share.min() > 0
    assert rows[36:].mean() > 0.7 * rows[12:36].mean(), "the lower quarter is not left out"


def multi_augs(images, joints, fill, stream):
    """All operations but the colours, which sort the rows of a batch by the drawn operation."""
    views = [[name] for name in HARD_OPERATIONS if name != "rand_augment"] + [["joint_cutout", "cutmix"]]
    return [occlude(images, view, joints, POLICIES, fill, stream) for view in views]


@pytest.mark.parametrize("easy", [EASY, None])
def test_nothing_depends_on_values_and_everything_stays_on_the_device(easy):
    # fake tensors have no values, and refuse to mix devices as CUDA does; "meta" is a device that is not the CPU
    fake_tensors = pytest.importorskip("torch._subclasses.fake_tensor")
    with fake_tensors.FakeTensorMode(allow_non_fake_inputs=True):
        away = [
            torch.empty(t.shape, dtype=t.dtype, device="meta") for t in (photos(), FILL, *vars(predicted()).values())
        ]
        images, fill, keypoints, scores, weights, split = away
        joints = PredictedJoints(keypoints, scores, weights, split if easy is not None else None)
        made = multi_augs(images, joints, fill, generator())
        assert {t.device.type for t in made} == {"meta"} and {t.shape for t in made} == {images.shape}


def test_operations_never_wait_for_the_gpu_and_agree_with_the_cpu(device, never_waiting):
    joints = PredictedJoints(*(t.to(device) for t in vars(predicted()).values()))
    images, fill = photos().to(device), FILL.to(device)
    multi_augs(images, joints, fill, generator())
    with never_waiting():
        made = multi_augs(images, joints, fill, generator())
        occlude(images, ["rand_augment"], joints, POLICIES, fill, generator())
    for one, other in zip(multi_augs(photos(), predicted(), FILL, generator()), made):
        assert torch.equal(one, other.cpu())
