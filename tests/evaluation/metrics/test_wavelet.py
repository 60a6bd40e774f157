import pytest
import torch

from gan_lab.evaluation.metrics.wavelet import WaveletDistance, haar_packets


def pictures(n, *shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(40, 200, (n, *shape), generator=generator, dtype=torch.uint8)


def test_packets_are_orthonormal_and_ordered_by_frequency():
    images = pictures(3, 2, 16, 16).double()
    packets = haar_packets(images, 2)
    assert packets.shape == (3, 16, 2, 4, 4)
    assert packets.square().sum().item() == pytest.approx(images.square().sum().item())
    flat = haar_packets(torch.full((1, 1, 8, 8), 5.0), 3)
    assert flat[0, 0].item() == pytest.approx(5 * 8) and flat[0, 1:].abs().max() == 0
    stripes = torch.tensor([1.0, -1.0]).repeat(4).expand(1, 1, 8, 8)  # columns of period 2
    assert haar_packets(stripes, 1)[0].abs().amax((1, 2, 3)).tolist() == [0, 2, 0, 0]


@pytest.mark.parametrize(("side", "level"), [(28, 2), (32, 3), (48, 3)])
def test_a_brighter_set_has_a_closed_form(side, level):
    images = pictures(40, 1, side, side)
    metric = WaveletDistance((1, side, side))
    metric.update(images, True)
    metric.update(images + 51, False)
    assert metric.described["level"] == level
    kept = (side >> level) ** 2  # coefficients of a packet, each moved by 0.2 · 2^level in the first of 4^level packets
    assert metric.compute()["fwd"] == pytest.approx(kept * 0.2**2, rel=1e-6)


def test_the_published_level_and_batches_change_nothing():
    images, others = pictures(30, 3, 64, 64), pictures(30, 3, 64, 64, seed=1)
    whole, parts = WaveletDistance((3, 64, 64), level=4), WaveletDistance((3, 64, 64))
    whole.update(images, True)
    whole.update(others, False)
    for part in images.split(7):
        parts.update(part, True)
    for part in others.split(11):
        parts.update(part, False)
    assert parts.compute()["fwd"] == pytest.approx(whole.compute()["fwd"], rel=1e-8)
