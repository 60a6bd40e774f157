"""Units: those that draw a class are found, and what they draw comes and goes with them."""

import pytest
import torch
from discs import Discs, shade
from torch import nn

from gan_lab.common.errors import UserError
from gan_lab.inference.unit_pictures import Switching, best_units, marked_samples, switched_samples
from gan_lab.inference.units import Subject, class_shares, dissect, layers_of, switched


@pytest.fixture(scope="module")
def subject():
    return Subject(Discs())


@pytest.fixture(scope="module")
def found(subject):
    return dissect(subject, layers_of(subject), shade, 4, 60, 16)


def test_the_units_of_each_disc_are_found(found):
    (found,) = found
    assert found.layer.name == "16" and found.layer.units == 6
    for number in range(3):
        assert found.best(number + 1, 1).tolist() == [number]
        assert found.agreement[number, number + 1] > 0.95
    assert found.agreement[3:, 1:].max() < 0.2
    assert (found.levels[:3, 1:4].diag() > found.thresholds[:3, 1:4].diag()).all()


def test_a_unit_that_is_switched_off_draws_nothing_and_on_it_draws_everywhere(subject, found):
    shares = class_shares(subject, shade, 4, 20, 8)
    with switched(found[0].layer, torch.tensor([1])):
        off = class_shares(subject, shade, 4, 20, 8)
    assert off[2] == 0 and torch.equal(off[[1, 3]], shares[[1, 3]]) and shares[2] > 0.01
    with switched(found[0].layer, torch.tensor([1]), torch.tensor([0.5])):
        assert class_shares(subject, shade, 4, 20, 8)[[0, 1]].max() == 0
    assert torch.equal(class_shares(subject, shade, 4, 20, 8), shares)


def test_samples_are_bright_where_a_unit_is_active(subject, found):
    units = best_units(found, 3, 2)
    assert units[0].name == "16:2" and units[0].agreement > units[1].agreement
    (cells, _) = marked_samples(subject, units, 4, 20, 8)
    assert cells.shape == (4, 1, 32, 32)
    assert (cells[:, 0, 20:24, 11:15] == 1).all() and cells.sum((0, 1)).argmax() // 32 > 16
    assert cells[:, 0, :12].max() < -0.3  # other discs are dark


def test_pictures_of_switched_units_come_with_shares_and_a_control(subject, found):
    chosen = Switching.of(found, 1, 2)
    assert chosen.units[0] == 0 and not {*chosen.others.tolist()} & {*chosen.units.tolist()}
    images, shares = switched_samples(subject, chosen, shade, 4, 3, 20, 8)
    assert images.shape == (4, 3, 1, 32, 32) and [*shares] == ["before", "off", "on", "others off"]
    assert shares["off"][1] == 0 < shares["before"][1]


def test_maps_of_other_heights_are_named(subject):
    with pytest.raises(UserError, match=r"layers=\[5\] names no maps: this generator has maps with 16 rows"):
        layers_of(subject, [5])


def test_a_generator_without_maps_is_refused():
    class Flat(Discs):
        def __init__(self):
            super().__init__()
            self.hats = nn.Identity()

        def decode(self, latents, label=None):
            return self.hats(latents)[:, :1, None, None].expand(-1, 1, 8, 8)

    with pytest.raises(UserError, match="no feature maps"):
        layers_of(Subject(Flat()))


def test_samples_of_a_conditional_model_have_the_classes_in_turn():
    class Conditional(Discs):
        num_labels = 2

        def decode(self, latents, label=None):
            return torch.as_tensor(label).expand(len(latents))

    assert Subject(Conditional()).images(3, 1).tolist() == [1, 0, 1]
    assert Subject(Conditional(), label=1).images(2).tolist() == [1, 1]
