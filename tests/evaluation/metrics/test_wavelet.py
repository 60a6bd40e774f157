import pytest
import torch

from gan_lab.evaluation.image_sets import SampledImages, SplitImages
from gan_lab.evaluation.metrics import wavelet
from gan_lab.evaluation.metrics.frechet import frechet_distance, moments_of
from gan_lab.evaluation.metrics.wavelet import WaveletDistance, haar_packets, levels_of
from gan_lab.evaluation.statistics import NotApplicableError
from gan_lab.evaluation.suite import Suite


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


def test_packets_of_rows_and_of_columns_by_themselves():
    images = pictures(3, 2, 8, 32).double()
    packets = haar_packets(images, (1, 3))
    assert packets.shape == (3, 16, 2, 4, 4)
    assert packets.square().sum().item() == pytest.approx(images.square().sum().item())
    stripes = torch.tensor([1.0, -1.0]).repeat(4).view(1, 1, 8, 1).expand(-1, -1, -1, 4)  # rows of period 2
    assert haar_packets(stripes, (1, 0))[0].abs().amax((1, 2, 3)).tolist() == pytest.approx([0, 2**0.5])


@pytest.mark.parametrize(
    ("shape", "levels"),
    [
        ((1, 28, 28), (2, 2)), ((3, 32, 32), (3, 3)), ((3, 63, 63), (3, 3)), ((3, 64, 64), (4, 4)),
        ((3, 128, 128), (5, 5)), ((3, 192, 256), (5, 5)), ((3, 256, 256), (6, 6)), ((3, 512, 512), (7, 7)),
        ((3, 20, 1000), (2, 7)), ((3, 1000, 20), (7, 2)), ((3, 2, 2), (0, 0)), ((1, 1, 5000), (0, 5)),
    ],
)  # fmt: skip
def test_packets_are_small_whatever_the_form(shape, levels):
    assert levels_of(shape) == levels
    assert shape[0] * (shape[1] >> levels[0]) * (shape[2] >> levels[1]) <= wavelet.LARGEST


def test_long_images_are_compared_by_the_definition():
    images, others = pictures(40, 3, 8, 80), pictures(40, 3, 8, 80, seed=1)
    metric = WaveletDistance((3, 8, 80))
    metric.update(images, True)
    metric.update(others, False)
    assert metric.described["level"] == [1, 3]
    sides = [haar_packets(each.double() / 255, (1, 3)).flatten(2).unbind(1) for each in (images, others)]
    found = [frechet_distance(moments_of(a), moments_of(b)) for a, b in zip(*sides, strict=True)]
    assert metric.compute()["fwd"] == pytest.approx(sum(found) / 16, rel=1e-6)


@pytest.mark.parametrize(("shape", "level"), [((3, 1024, 1024), None), ((3, 512, 512), 4), ((30, 40, 40), 1)])
def test_images_whose_sums_fill_the_memory_are_left_out(shape, level):
    with pytest.raises(NotApplicableError, match=r"its sums for .* px need [\d.]+ GB: compare smaller images"):
        WaveletDistance(shape, level)


@pytest.mark.parametrize("most", [0, wavelet.CACHED_BYTES])
def test_large_sums_are_not_cached(doubles, tmp_path, monkeypatch, most):
    monkeypatch.setattr(wavelet, "CACHED_BYTES", most)
    real, fake = SplitImages(doubles.ImageData(), "train"), SampledImages(doubles.Sampler(), (3, 4, 4), 9)
    values = [
        Suite({"fwd": WaveletDistance}, [], real, cache_dir=tmp_path, progress=False).evaluate(fake)[0]["fwd"]
        for _ in range(2)
    ]
    assert values[0] == values[1] and len(list(tmp_path.rglob("*.safetensors"))) == bool(most)
