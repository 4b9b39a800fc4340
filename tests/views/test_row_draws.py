"""What several ranks draw for their rows is what one process draws for the joined batch."""

import pytest
import torch

from semipose.views.affine_draws import AffinePolicy, draw_affine, half_body_maps
from semipose.views.box_cutout import BoxPolicy, CutMixPolicy, draw_boxes, draw_cutmix
from semipose.views.joint_cutout import CutoutPolicy, draw_adaptive_cutout, draw_cutout, draw_joint_mask
from semipose.views.joint_paste import PastePolicy, draw_cut_occlude, draw_joint_paste
from semipose.views.photometric import ColorPolicy, change_colors
from semipose.views.row_draws import RankGenerator, draw_rows

SIZE = (24, 40)
KEYPOINTS = torch.rand(7, 17, 2, generator=torch.Generator().manual_seed(1)) * torch.tensor(SIZE)
SCORES = torch.rand(7, 17, generator=torch.Generator().manual_seed(2)).index_fill_(1, torch.tensor([0]), 1.0)
IMAGES = torch.rand(7, 3, 12, 8, generator=torch.Generator().manual_seed(3))
MAPS = torch.eye(2, 3).repeat(7, 1, 1)
UPPER = torch.arange(17) < 11
CPU = torch.device("cpu")


def boxes(drawn):
    return drawn.centres, drawn.half_sizes


def paste(drawn):
    """Without what depends on the donor, who is another image of the rank."""
    return drawn.boxes.centres, drawn.boxes.half_sizes


def affine(rows, generator):
    drawn = draw_affine(AffinePolicy(), len(rows), generator)
    return drawn.degrees, drawn.scale, drawn.mirrored


def half_body(rows, generator):
    labeled = torch.ones(len(rows), 17, dtype=torch.bool)
    policy = AffinePolicy(half_body=0.5)
    return (half_body_maps(MAPS[rows], KEYPOINTS[rows], labeled, UPPER, policy, SIZE, generator),)


DRAWS = {
    "affine": affine,
    "half body": half_body,
    "cutout": lambda rows, g: boxes(draw_cutout(CutoutPolicy(), KEYPOINTS[rows], SIZE, g)),
    "joint mask": lambda rows, g: boxes(draw_joint_mask(CutoutPolicy(), (2, 5), KEYPOINTS[rows], SIZE, g)),
    "adaptive": lambda rows, g: boxes(draw_adaptive_cutout(CutoutPolicy(), KEYPOINTS[rows], SCORES[rows], SIZE, g)),
    "boxes": lambda rows, g: boxes(draw_boxes(BoxPolicy(), len(rows), SIZE, CPU, g)),
    "cutmix": lambda rows, g: boxes(draw_cutmix(CutMixPolicy(), len(rows), SIZE, CPU, g)),
    "rand_augment": lambda rows, g: (change_colors(IMAGES[rows], ColorPolicy(rand_augment=3), g),),
}


@pytest.mark.parametrize(("joined", "ranks"), [(6, 2), (7, 2), (7, 3), (5, 4)])
@pytest.mark.parametrize("name", DRAWS)
def test_a_row_gets_the_same_in_any_number_of_processes(name, joined, ranks):
    expected = DRAWS[name](list(range(joined)), torch.Generator().manual_seed(4))
    for rank in range(ranks):
        generator = RankGenerator(rank, ranks).manual_seed(4)
        generator.joined = joined
        own = list(range(rank, joined, ranks))
        for part, whole in zip(DRAWS[name](own, generator), expected, strict=True):
            torch.testing.assert_close(part, whole[own], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "draw",
    [
        lambda rows, g: draw_cut_occlude(PastePolicy(), KEYPOINTS[rows], SIZE, g),
        lambda rows, g: draw_joint_paste(PastePolicy(), KEYPOINTS[rows], SCORES[rows], None, SIZE, g),
    ],
)
def test_pasted_joints_come_from_images_of_the_rank(draw):
    places = []
    for rank in (0, 1):
        generator = RankGenerator(rank, 2).manual_seed(4)
        generator.joined = 7
        patches = draw(list(range(rank, 7, 2)), generator)
        places.append(paste(patches)[0])
        assert patches.donors.max() < len(patches.donors) == (4, 3)[rank]
    assert len(torch.cat(places)) == 7


def test_noise_differs_between_ranks():
    images = torch.full((2, 3, 12, 8), 0.5)
    changed = []
    for rank in (0, 1):
        generator = RankGenerator(rank, 2).manual_seed(4)
        generator.joined = 4
        changed.append(change_colors(images, ColorPolicy(jitter=0.5), generator))
    assert not torch.allclose(*(x - x.mean((2, 3), keepdim=True) for x in changed), atol=0.01)


def test_a_rank_without_a_row_of_its_own_repeats_one():
    generator = RankGenerator(3, 4).manual_seed(4)
    generator.joined = 2
    own = draw_rows(torch.rand, (1, 5), generator)
    assert torch.equal(own[0], torch.rand(2, 5, generator=torch.Generator().manual_seed(4))[1])
