import pytest
import torch

from semipose.views.hiding_boxes import Boxes
from semipose.views.joint_paste import (
    PastePolicy,
    Patches,
    draw_cut_occlude,
    draw_donors,
    draw_joint_paste,
    paste_patches,
)

CROP, CPU = (192, 256), torch.device("cpu")
JOINTS, BATCH = 6, 7
ALL = torch.ones(BATCH, JOINTS)
EXACT = PastePolicy(2, (4.0, 9.0))  # patches of 9 to 19 pixels


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def spread_joints(count=BATCH, size=CROP, joints=JOINTS, seed=1):
    return torch.rand(count, joints, 2, generator=generator(seed)) * torch.tensor(size)


def loop_paste(images, patches):
    """Pixel by pixel, in the words of the documentation."""
    pasted = images.clone()
    batch, _, height, width = images.shape
    for b in range(batch):
        for n in range(patches.shifts.shape[1]):
            (cx, cy), (hx, hy), (dx, dy) = (
                t[b, n].tolist() for t in (patches.boxes.centres, patches.boxes.half_sizes, patches.shifts)
            )
            for y in range(height):
                for x in range(width):
                    inside = 0 <= x + dx < width and 0 <= y + dy < height
                    if inside and abs(x - cx) <= hx and abs(y - cy) <= hy:
                        pasted[b, :, y, x] = images[patches.donors[b], :, y + int(dy), x + int(dx)]
    return pasted


@pytest.mark.parametrize("draw", ["joint_paste", "cut_occlude"])
@pytest.mark.parametrize("size", [(24, 32), (40, 30), (9, 14)])
def test_batch_equals_a_loop_over_pixels(draw, size):
    images = torch.rand(BATCH, 3, size[1], size[0], generator=generator())
    before = images.clone()
    # some joints are outside
    keypoints = spread_joints(size=size) * 1.3 - 3
    policy = PastePolicy(4, (40.0, 70.0))
    if draw == "joint_paste":
        patches = draw_joint_paste(policy, keypoints, ALL, None, size, generator())
    else:
        patches = draw_cut_occlude(policy, keypoints, size, generator())
    pasted = paste_patches(images, patches)
    assert torch.equal(pasted, loop_paste(images, patches))
    assert torch.equal(images, before) and not torch.equal(pasted, images)


@pytest.mark.parametrize("half", [0.0, 0.4, 0.5, 1.0, 2.5, 3.0])
@pytest.mark.parametrize("offset", [0.0, 0.5, 0.999])
def test_edges_of_patches_equal_a_loop(half, offset):
    # patches of every small size in every corner, in views smaller than the window
    images = torch.rand(4, 3, 7, 5, generator=generator())
    corners = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 6.0], [4.0, 6.0]]).unsqueeze(1) + offset - 0.5
    boxes = Boxes(corners, torch.full((4, 1, 2), half))
    patches = Patches(torch.tensor([1, 2, 3, 0]), boxes, torch.tensor([1.0, -1.0]).expand(4, 1, 2), 3)
    assert torch.equal(paste_patches(images, patches), loop_paste(images, patches))


def test_colour_of_the_donors_joint_is_at_the_receivers_joint_and_nothing_else_changes():
    # every joint of every image is painted in a colour of its own
    size, reach = CROP, 20
    grid = torch.tensor([[30.0, 40.0], [100.0, 40.0], [160.0, 90.0], [40.0, 130.0], [110.0, 170.0], [60.0, 225.0]])
    keypoints = grid + torch.randint(-5, 6, (BATCH, JOINTS, 2), generator=generator())
    images = torch.zeros(BATCH, 3, size[1], size[0])
    for b in range(BATCH):
        for k, (x, y) in enumerate(keypoints[b].long().tolist()):
            colour = torch.tensor([(b + 1) / 8, (k + 1) / 8, 0.5])
            images[b, :, y - reach : y + reach + 1, x - reach : x + reach + 1] = colour.view(3, 1, 1)
            images[b, 2, y, x] = 1.0  # the joint itself, to the pixel
    patches = draw_joint_paste(EXACT, keypoints, ALL, None, size, generator())
    pasted = paste_patches(images, patches)
    xs, ys = torch.arange(size[0]), torch.arange(size[1])
    for b in range(BATCH):
        donor, untouched = patches.donors[b].item(), torch.ones(size[1], size[0], dtype=torch.bool)
        assert donor != b
        for n in range(2):
            centre, half = patches.boxes.centres[b, n], patches.boxes.half_sizes[b, n]
            (joint,) = (keypoints[b] == centre).all(-1).nonzero()[:, 0].tolist()
            box = ((ys - centre[1]).abs() <= half[1])[:, None] & ((xs - centre[0]).abs() <= half[0])
            assert 9 * 9 <= box.sum() <= 19 * 19
            assert (pasted[b, 0][box] == (donor + 1) / 8).all() and (pasted[b, 1][box] == (joint + 1) / 8).all()
            x, y = centre.long().tolist()
            marked = (pasted[b, 2] == 1) & box
            assert marked.sum() == 1 and marked[y, x]
            untouched &= ~box
        assert torch.equal(pasted[b][:, untouched], images[b][:, untouched])


def test_cut_occlude_brings_any_joint_to_any_joint():
    keypoints, donors_seen, pairs = spread_joints(), set(), set()
    for seed in range(60):
        patches = draw_cut_occlude(PastePolicy(3), keypoints, CROP, generator(seed))
        for b in range(BATCH):
            donor = patches.donors[b].item()
            donors_seen.add((b, donor))
            receivers, sources = [], []
            for n in range(3):
                centre = patches.boxes.centres[b, n]
                receivers += (keypoints[b] == centre).all(-1).nonzero()[:, 0].tolist()
                off = (keypoints[donor] - centre - patches.shifts[b, n]).abs().amax(-1)
                sources += (off <= 0.501).nonzero()[:, 0].tolist()
            assert len(set(receivers)) == len(receivers) == 3
            assert len(set(sources)) >= 3
            if len(sources) == 3:
                pairs |= set(zip(receivers, sources))
    assert donors_seen == {(b, d) for b in range(BATCH) for d in range(BATCH) if b != d}
    assert pairs == {(r, s) for r in range(JOINTS) for s in range(JOINTS)}


@pytest.mark.parametrize("shift", [0.3, -0.4, 0.49])
def test_shifts_are_whole_pixels_next_to_the_true_shift(shift):
    keypoints = spread_joints()
    keypoints[1:] += shift
    patches = draw_joint_paste(EXACT, keypoints, ALL, None, CROP, generator())
    assert torch.equal(patches.shifts, patches.shifts.round())
    for b in range(BATCH):
        for n in range(2):
            (joint,) = (keypoints[b] == patches.boxes.centres[b, n]).all(-1).nonzero()[:, 0].tolist()
            true = keypoints[patches.donors[b], joint] - keypoints[b, joint]
            assert (patches.shifts[b, n] - true).abs().max() <= 0.5


@pytest.mark.parametrize("allowed", [None, torch.tensor([True, False, True, True])])
def test_donors_are_allowed_ones_drawn_equally_often_and_never_the_receiver(allowed):
    drawn = torch.stack([draw_donors(allowed, 4, CPU, generator(seed))[0] for seed in range(3000)])
    for b in range(4):
        expected = torch.ones(4) if allowed is None else allowed.float()
        expected[b] = 0
        share = torch.bincount(drawn[:, b], minlength=4) / 3000
        assert torch.allclose(share, expected / expected.sum(), atol=0.03)


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [([False] * 3, [False] * 3), ([False, True, False], [True, False, True]), ([True, True, False], [True] * 3)],
)
def test_where_no_other_image_is_allowed_nothing_is_found(allowed, expected):
    donors, found = draw_donors(torch.tensor(allowed), 3, CPU, generator())
    assert found.tolist() == expected
    assert all(allowed[d] for d, ok in zip(donors.tolist(), expected) if ok)


def joints_pasted(patches, keypoints):
    """For each receiver the joints that it receives, in order."""
    found = []
    for b, places in enumerate(patches.boxes.centres):
        active = patches.boxes.half_sizes[b, :, 0] > 0
        found.append([(keypoints[b] == place).all(-1).nonzero().item() for place in places[active]])
    return found


@pytest.mark.parametrize("count", [1, 2, 6])
def test_joints_are_distinct_and_all_are_drawn(count):
    keypoints, seen = spread_joints(), set()
    for seed in range(20):
        patches = draw_joint_paste(PastePolicy(count), keypoints, ALL, None, CROP, generator(seed))
        for joints in joints_pasted(patches, keypoints):
            assert len(set(joints)) == len(joints) == count
            seen |= set(joints)
    assert seen == set(range(JOINTS))


def test_only_joints_kept_in_donor_and_receiver_are_pasted():
    keypoints = spread_joints(3)
    easy = torch.tensor([True, False, False])
    weights = torch.tensor([[1.0, 1, 1, 0, 0, 0], [0, 1, 0.2, 1, 1, 1], [0, 0, 0.5, 1, 1, 1]])
    for seed in range(30):
        patches = draw_joint_paste(PastePolicy(2), keypoints, weights, easy, CROP, generator(seed))
        joints = joints_pasted(patches, keypoints)
        # nobody gives to 0; 1 and 2 of the joints are kept in both
        assert joints[0] == [] and sorted(joints[1]) == [1, 2] and joints[2] == [2]


def test_where_no_joint_is_kept_in_both_all_are_drawn_from():
    keypoints, easy, seen = spread_joints(2), torch.tensor([True, False]), set()
    weights = torch.tensor([[1.0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]])
    for seed in range(40):
        patches = draw_joint_paste(PastePolicy(2), keypoints, weights, easy, CROP, generator(seed))
        joints = joints_pasted(patches, keypoints)[1]
        assert len(set(joints)) == 2
        seen |= set(joints)
    assert seen == set(range(JOINTS))


def test_more_patches_than_joints():
    patches = draw_joint_paste(PastePolicy(9), spread_joints(), ALL, None, CROP, generator())
    assert all(sorted(joints) == list(range(JOINTS)) for joints in joints_pasted(patches, spread_joints()))
    assert draw_cut_occlude(PastePolicy(9), spread_joints(), CROP, generator()).shifts.shape == (BATCH, JOINTS, 2)


@pytest.mark.parametrize("size", [(192, 256), (48, 64), (64, 48)])
def test_patches_scale_with_the_crop(size):
    for draw in (
        lambda: draw_joint_paste(PastePolicy(), spread_joints(), ALL, None, size, generator()),
        lambda: draw_cut_occlude(PastePolicy(), spread_joints(), size, generator()),
    ):
        half = draw().boxes.half_sizes * 192 / min(size)
        assert half.min() >= 18 and half.max() <= 30 and half.max() - half.min() > 8
        assert draw().reach >= draw().boxes.half_sizes.max()


def test_joints_far_away_or_unknown_paste_nothing():
    images = torch.rand(3, 3, 64, 48, generator=generator())
    for place in (-500.0, 1e12, float("inf"), float("nan")):
        patches = draw_joint_paste(
            PastePolicy(), torch.full((3, 4, 2), place), torch.ones(3, 4), None, (48, 64), generator()
        )
        assert torch.equal(paste_patches(images, patches), images)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_type_and_layout_of_images_do_not_matter(dtype, channels_last):
    images = torch.rand(BATCH, 3, 64, 48, generator=generator()).to(dtype)
    patches = draw_cut_occlude(PastePolicy(), spread_joints(size=(48, 64)), (48, 64), generator())
    expected = loop_paste(images, patches)
    if channels_last:
        images = images.to(memory_format=torch.channels_last)
    pasted = paste_patches(images, patches)
    assert pasted.dtype == dtype and torch.equal(pasted, expected)
