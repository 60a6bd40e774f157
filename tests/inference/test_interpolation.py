import math
from itertools import pairwise

import pytest
import torch

from gan_lab.common.capabilities import Decodes
from gan_lab.inference.interpolation import interpolate, lerp, path, slerp, walk

A, B = torch.tensor([3.0, 0.0, 0.0]), torch.tensor([0.0, 3.0, 0.0])


def test_slerp_between_orthogonal_vectors_is_a_quarter_circle():
    for t in (0.0, 0.25, 0.5, 1.0):
        angle = t * math.pi / 2
        expected = torch.tensor([3 * math.cos(angle), 3 * math.sin(angle), 0.0])
        torch.testing.assert_close(slerp(A, B, t), expected)


def test_slerp_keeps_the_length_and_divides_the_angle_evenly():
    a, b = torch.randn(2, 5, 64, dtype=torch.float64)
    b *= a.norm(dim=-1, keepdim=True) / b.norm(dim=-1, keepdim=True)
    walk = [slerp(a, b, t) for t in (0, 0.2, 0.4, 0.6, 0.8, 1)]
    for point in walk:
        torch.testing.assert_close(point.norm(dim=-1), a.norm(dim=-1))
    cosines = torch.stack([torch.cosine_similarity(p, q) for p, q in pairwise(walk)])
    torch.testing.assert_close(cosines, cosines[:1].expand(5, -1))


@pytest.mark.parametrize("factor", [1.0, 1.0 + 1e-6, 2.0])
def test_slerp_between_parallel_vectors_is_the_straight_line(factor):
    torch.testing.assert_close(slerp(A, factor * A, 0.5), A * (1 + factor) / 2)


def test_slerp_between_opposite_vectors_is_finite():
    assert slerp(A, -A, 0.3).isfinite().all()


def test_lerp_is_the_straight_line():
    torch.testing.assert_close(lerp(A, B, 0.25), torch.tensor([2.25, 0.75, 0.0]))


def test_path_passes_through_its_points():
    latents = torch.randn(4, 8)
    walk, loop = path(latents, steps=5), path(latents, steps=5, loop=True)
    assert walk.shape == (16, 8) and loop.shape == (20, 8)
    torch.testing.assert_close(walk[::5], latents)
    torch.testing.assert_close(loop[:16], walk)
    torch.testing.assert_close(loop[18], slerp(latents[3], latents[0], 0.6))
    torch.testing.assert_close(path(latents, 2, between=lerp)[1], (latents[0] + latents[1]) / 2)


class Plane:
    """Decodes a latent to one pixel, its first number."""

    def latents(self, n, seed=0, start=0, truncation=1.0, label=None):
        return torch.randn(n, 4, generator=torch.Generator().manual_seed(seed))

    def decode(self, latents, label=None):
        return latents[:, :1, None, None] + (label or 0)


def test_interpolate_decodes_the_walk_in_batches():
    model = Plane()
    assert isinstance(model, Decodes)
    walk = path(model.latents(3, seed=7), steps=4)
    frames = interpolate(model, seed=7, points=3, steps=4, label=2, batch_size=2)
    torch.testing.assert_close(frames, walk[:, :1, None, None] + 2)


def test_a_walk_between_classes_takes_the_nearer_class():
    class Shown(Plane):
        def decode(self, latents, label=None):
            return label.float()[:, None, None, None]

    latents, label = torch.randn(3, 4), torch.tensor([5, 6, 7])
    classes = walk(Shown(), latents, 4, label, batch_size=2).flatten().tolist()
    assert classes == [5, 5, 6, 6, 6, 6, 7, 7, 7]
    assert walk(Shown(), latents, 4, label, loop=True).flatten().tolist() == [*classes, 7, 5, 5][:12]
