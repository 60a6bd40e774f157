"""Attributes of generated images, in spaces in which they are numbers of the codes."""

import pytest
import torch

from gan_lab.inference.attributes import extremes, leaks, of_samples, responses
from gan_lab.inference.spaces import LatentSpace


class Numbers:
    """Latents (n, 3) of deviation 2, and images (n, 1, 1, 2) of their first two numbers."""

    def latents(self, n, seed=0, start=0, truncation=1.0, label=None):
        rows = [torch.randn(3, generator=torch.Generator().manual_seed(seed * 1000 + start + i)) for i in range(n)]
        return 2 * torch.stack(rows) + 5

    def decode(self, latents, label=None):
        return latents[:, None, None, :2] / 100  # within [-1, 1]


def attributes(images):
    return {"first": images[:, 0, 0, 0], "second": images[:, 0, 0, 1]}


@pytest.fixture
def space():
    return LatentSpace(Numbers())


def test_attributes_of_samples_stand_beside_their_codes(space):
    points, values = of_samples(space, attributes, samples=7, batch_size=3)
    assert torch.equal(points, space.of_samples(7)) and values["second"].dtype == torch.float64
    torch.testing.assert_close(values["second"].float(), points[:, 1] / 100)


def test_the_points_with_the_lowest_and_highest_values_are_chosen():
    points = torch.arange(10.0)[torch.randperm(10)][:, None]
    chosen, labels = extremes(points, points[:, 0], share=0.2)
    assert chosen[:, 0].tolist() == [0, 1, 8, 9] and labels.tolist() == [0, 0, 1, 1]


def test_responses_are_in_deviations_of_the_attribute(space):
    deviation = space.of_samples(50).std(0)
    found = responses(space, torch.tensor([1.0, 0, 1]), attributes, [-1, 0, 3], samples=50, batch_size=20)
    torch.testing.assert_close(found["first"].float(), torch.tensor([-1.0, 0, 3]) / deviation[0], atol=1e-5, rtol=1e-4)
    assert found["second"].tolist() == pytest.approx([0, 0, 0], abs=1e-9)


def test_the_leak_table_has_what_each_direction_changes(space):
    deviation, axes = space.of_samples(200).std(0), torch.eye(3)
    found = leaks(space, {"a": axes[0], "c": axes[2], "both": axes[0] + axes[1]}, attributes, strength=1.5)
    assert found["a"]["first"] == pytest.approx(3 / float(deviation[0]), rel=1e-3)
    assert found["a"]["second"] == pytest.approx(0, abs=1e-9) and found["c"] == {"first": 0, "second": 0}
    assert found["both"]["second"] == pytest.approx(3 / float(deviation[1]), rel=1e-3)
