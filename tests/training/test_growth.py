"""Levels of networks that grow, by images and by the budget."""

import pytest

from gan_lab.training.growth import Growth

TOP = 3


@pytest.mark.parametrize(
    ("images", "level"),
    [
        *((0, 0), (799_999, 0), (800_000, 0), (1_000_000, 0.25), (1_400_000, 0.75)),
        *((1_600_000, 1), (2_400_000, 1), (2_800_000, 1.5), (3_200_000, 2), (4_400_000, 2.5), (4_800_000, 3)),
        (10**8, 3),
    ],
)
def test_the_paper_alternates_800_000_images_at_a_level_with_800_000_of_fading(images, level):
    assert Growth(images=1_600_000).at(TOP, images, 0.0) == pytest.approx(level)


@pytest.mark.parametrize(
    ("fading", "levels"),
    [(0.5, [0, 0, 0.5, 1, 2.5, 3, 3]), (0.0, [0, 0, 0, 1, 2, 3, 3]), (1.0, [0, 0.5, 0.75, 1, 2.75, 3, 3])],
)
def test_levels_have_equal_parts_of_the_budget_and_the_last_one_the_rest(fading, levels):
    shares = [0.0, 0.1, 0.15, 0.2, 0.55, 0.6, 1.1]
    growth = Growth(fading=fading, until=0.6)
    assert [growth.at(TOP, 0, share) for share in shares] == pytest.approx(levels)
    assert Growth(until=0.0).at(TOP, 0, 0.0) == TOP
