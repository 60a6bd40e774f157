"""Directions, against cases that can be solved by hand."""

import pytest
import torch
from small_models import small_stylegan2

from gan_lab.common.errors import UserError
from gan_lab.inference.attributes import leaks
from gan_lab.inference.direction_search import (
    boundary,
    conditional,
    disentangled,
    factorised,
    learnt,
    principal_components,
    slope,
)
from gan_lab.inference.directions import Directions, moved
from gan_lab.inference.first_maps import first_maps
from gan_lab.inference.spaces import LatentSpace, space_of


class Tilted:
    """Latents (n, 3) of deviations 3, 1 and 2 in turned axes; images (n, 1, 1, 2) are their first two numbers."""

    turn = torch.linalg.qr(torch.tensor([[1.0, 2, 0], [0, 1, 1], [1, 0, 1]])).Q

    def latents(self, n, seed=0, start=0, truncation=1.0, label=None):
        numbers = torch.stack([torch.randn(3, generator=torch.Generator().manual_seed(start + i)) for i in range(n)])
        return numbers * torch.tensor([3.0, 1, 2]) @ self.turn.T + 5

    def decode(self, latents, label=None):
        return latents[:, None, None, :2]


def same_line(a, b):
    return abs(float(torch.nn.functional.cosine_similarity(a, b, 0)))


def test_factorised_weights_are_the_eigenvectors_of_the_product():
    """A diagonal map: the axes, in the order of its squares."""
    vectors, values = factorised(torch.diag(torch.tensor([2.0, 5.0, 3.0])))
    assert vectors.tolist() == [[0, 1, 0], [0, 0, 1], [1, 0, 0]] and values.tolist() == [25, 9, 4]
    turned, _ = factorised(torch.diag(torch.tensor([2.0, 5.0, 3.0])) @ Tilted.turn.T, count=2)
    assert len(turned) == 2 and same_line(turned[0], Tilted.turn[:, 1]) == pytest.approx(1)


def test_principal_components_are_those_of_the_codes():
    vectors, variances = principal_components(LatentSpace(Tilted()), samples=2500)
    assert same_line(vectors[0], Tilted.turn[:, 0]) > 0.999 and same_line(vectors[2], Tilted.turn[:, 1]) > 0.999
    torch.testing.assert_close(variances, torch.tensor([9.0, 4.0, 1.0]), rtol=0.1, atol=0)


@pytest.mark.parametrize("method", ["logistic", "svm", "mean"])
def test_a_boundary_is_normal_to_the_plane_between_the_classes(method):
    torch.manual_seed(0)
    points = torch.randn(600, 4)
    normal = torch.tensor([0.6, 0, -0.8, 0])
    vector, accuracy = boundary(points, (points @ normal > 0).long(), method)
    assert torch.nn.functional.cosine_similarity(vector, normal, 0) > 0.97 and accuracy > 0.94
    assert vector.norm().item() == pytest.approx(1)


def test_least_squares_find_the_slope_of_an_attribute():
    points = LatentSpace(Tilted()).of_samples(500)
    slope_found, explained = slope(points, points @ torch.tensor([3.0, -4, 0]) + 7)
    torch.testing.assert_close(slope_found, torch.tensor([0.6, -0.8, 0]), atol=1e-3, rtol=0)
    assert explained > 0.999
    noise = torch.randn(500, generator=torch.Generator().manual_seed(1))
    assert abs(slope(points, noise)[1]) < 0.1
    with pytest.raises(UserError, match="All samples are alike in age"):
        learnt(LatentSpace(Tilted()), lambda images: {"age": torch.ones(len(images))}, 1.0, samples=50)


def test_a_boundary_needs_both_classes():
    with pytest.raises(UserError, match="five examples of either class"):
        boundary(torch.randn(20, 2), torch.zeros(20))


def test_a_conditional_direction_is_orthogonal_to_the_others():
    a, b, c = torch.eye(3)
    found = conditional(a + b + 2 * c, [b, b + c])
    torch.testing.assert_close(found, a)
    torch.testing.assert_close(conditional(2 * a, []), a)
    with pytest.raises(UserError, match="lies within the others"):
        conditional(b, [b, c])


def test_codes_move_in_some_layers_and_not_at_all_by_nothing():
    space = space_of(small_stylegan2())
    codes, vector = space.of_samples(2), torch.ones(6)
    assert moved(space, codes, vector, 0.0) is codes
    step = moved(space, codes, vector, 2.0, (1, 2)) - codes
    assert step.abs().amax((0, 2)).tolist() == [0, 2, 2, 0, 0, 0]
    with pytest.raises(UserError, match="layers 0 to 5"):
        moved(space, codes, vector, 1.0, (3, 6))
    with pytest.raises(UserError, match=r"give space=w\+"):
        moved(LatentSpace(Tilted()), torch.zeros(1, 3), vector[:3], 1.0, (0, 0))


def test_a_file_of_directions_belongs_to_one_model(tmp_path):
    path = tmp_path / "directions.safetensors"
    Directions(torch.eye(2), ["smile", "age"], torch.tensor([0.9, 0.8]), "svm", "w", "abc").save(path)
    found = Directions.load(path, "abc")
    assert found.names == ["smile", "age"] and (found.method, found.space) == ("svm", "w")
    assert torch.equal(found.named("age"), torch.eye(2)[1]) and torch.equal(found.named("0"), torch.eye(2)[0])
    with pytest.raises(UserError, match="no direction hair: the file has smile, age"):
        found.named("hair")
    with pytest.raises(UserError, match="directions of another model"):
        Directions.load(path, "xyz")
    (tmp_path / "other").write_bytes(b"no")
    with pytest.raises(UserError, match="cannot be read as directions"):
        Directions.load(tmp_path / "other")


class Seen(torch.nn.Module):
    """A model whose first layers read all latents, and the last two of them."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.whole, self.part = torch.nn.Linear(4, 3), torch.nn.ConvTranspose2d(2, 2, 2)
        self.later = torch.nn.Linear(3, 2)

    def latents(self, n, seed=0, start=0, truncation=1.0, label=None):
        return torch.ones(n, 4)

    def decode(self, latents, label=None):
        x = self.later(self.whole(latents).relu())
        return x[:, :, None, None] + self.part(latents[:, 2:].view(-1, 2, 1, 1))


def test_first_maps_are_those_of_the_layers_that_read_codes():
    model = Seen()
    rows = first_maps(LatentSpace(model))
    part = torch.cat([torch.zeros(8, 2), model.part.weight.flatten(1).T], 1)
    torch.testing.assert_close(rows, torch.cat([model.whole.weight, part]).detach())


def test_first_maps_of_styles_are_those_of_all_layers():
    model = small_stylegan2()
    rows = first_maps(space_of(model, "w"))
    synthesis = model.averaged("generator").synthesis
    maps = [layer.conv.affine for layer in synthesis.layers] + [block.image.affine for block in synthesis.blocks]
    expected = torch.cat([each.weight * each.gain for each in maps]).detach()
    assert len(rows) == len(expected)
    torch.testing.assert_close(rows.T @ rows, expected.T @ expected)
    with pytest.raises(UserError, match="reads its z directly"):
        first_maps(space_of(model, "z"))


def test_directions_learnt_together_are_also_given_without_what_the_others_change():
    """The two attributes are (1, 0) and (1, 1) of the first two latents, so that the second alone is (0, 1)."""
    space, axes = LatentSpace(Tilted()), torch.eye(3)
    space.images = lambda codes: codes[:, None, None, :2] / 100
    found = learnt(space, lambda images: {"a": images[:, 0, 0, 0], "ab": images[:, 0, 0].sum(1)}, 1.0, kept=[axes[2]])
    assert [*found.vectors] == ["a", "ab", "a only", "ab only"] and min(found.accuracies.values()) > 0.99
    torch.testing.assert_close(found.vectors["a"], axes[0], atol=1e-3, rtol=0)
    torch.testing.assert_close(found.vectors["ab only"], axes[1], atol=1e-3, rtol=0)
    assert all(abs(float(vector[2])) < 1e-6 for vector in found.vectors.values())
    alone = learnt(space, lambda images: {"a": images[:, 0, 0, 0]}, 1.0, "logistic", samples=500)
    assert [*alone.vectors] == ["a"] and alone.vectors["a"][0] > 0.9


def test_changes_cancel_at_the_distance_of_the_moves():
    """One attribute is the cube of a latent and more, so that its slope is not its change."""
    space, axes = LatentSpace(Tilted()), torch.eye(3)
    space.images = lambda codes: codes[:, None, None, :2] / 100

    def attributes(images):
        first, second = 10 * images[:, 0, 0, 0] - 0.5, 10 * images[:, 0, 0, 1]
        return {"first": first, "both": first**3 + second}

    plain = {"first": axes[0], "both": axes[1]}
    found = disentangled(space, plain, attributes, 4.0)
    before, after = (leaks(space, each, attributes, 4.0)["first"] for each in (plain, found))
    assert abs(before["both"]) > 0.3 and abs(after["both"]) < 0.05 and after["first"] > 0.3 * before["first"]
