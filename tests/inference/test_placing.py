"""Parts of photographs, and their seams."""

import pytest
import torch

from gan_lab.common.errors import UserError
from gan_lab.inference.placing import Part, part_of


@pytest.mark.parametrize(
    ("photo", "size", "expected"),
    [
        ((60, 100), (32, 32), Part(0, 20, 60, 60)),
        ((100, 60), (32, 32), Part(20, 0, 60, 60)),
        ((100, 100), (32, 64), Part(25, 0, 50, 100)),
        ((5, 5), (64, 64), Part(0, 0, 5, 5)),
    ],
)
def test_a_model_sees_the_middle(photo, size, expected):
    assert part_of(*photo, size) == expected


def test_a_box_must_lie_in_the_photograph():
    assert part_of(10, 20, (8, 8), (2, 3, 20, 10)) == Part(3, 2, 7, 18)
    for box in ((0, 0, 21, 5), (5, 5, 5, 8), (-1, 0, 5, 5)):
        with pytest.raises(UserError, match="does not lie in an image of 20×10 px"):
            part_of(10, 20, (8, 8), box)


def test_the_part_fades_into_the_photograph_but_not_at_its_sides():
    photo, part = torch.zeros(1, 100, 100, dtype=torch.uint8), Part(0, 20, 60, 60)
    found = part.put_back(photo, torch.full((1, 16, 16), 200, dtype=torch.uint8))[0]
    assert found[0, 50] == 200 and found[30, 50] == 200  # the top is the photograph's
    assert 0 < found[59, 50] < 40 and 0 < found[30, 20] < 40 and not found[60:].any()
    assert found[30, 20:26].diff().float().min() > 0
    assert torch.equal(photo, torch.zeros_like(photo))


def test_an_unchanged_part_changes_nothing():
    torch.manual_seed(0)
    photo = torch.randint(0, 256, (3, 40, 50), dtype=torch.uint8)
    part = Part(4, 5, 20, 30)
    assert torch.equal(part.put_back(photo, part.of(photo)), photo)
