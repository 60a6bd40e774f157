"""What a data configuration says of itself."""

import pytest

from gan_lab.common.constraints import has_single_images, height_and_width


@pytest.mark.parametrize(("size", "sides"), [(64, (64, 64)), ([96, 128], (96, 128)), ([1, 1], (1, 1))])
def test_a_size_is_a_side_or_two(size, sides):
    assert height_and_width(size) == sides


@pytest.mark.parametrize(
    ("data", "single"),
    [({"size": 32}, True), ({"length": 20}, False), ({"paired": False}, False), ({"paired": True}, False)],
)
def test_clips_and_domains_are_no_single_images(data, single):
    assert has_single_images(data) is single
