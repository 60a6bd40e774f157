"""Pixel metrics of images whose frequencies and statistics are known."""

import math

import numpy as np
import pytest
import torch

from gan_lab.evaluation.metrics.image_statistics import (
    ImageStatisticsComparison,
    PowerSpectrum,
    SpectrumComparison,
    image_statistics,
)


def waves(cycles, side=32, amplitude=60):
    """Returns an image with that many cycles from left to right, around a middle grey."""
    x = torch.arange(side) / side
    row = 128 + amplitude * torch.cos(2 * math.pi * cycles * x)
    return row.round().clamp(0, 255).to(torch.uint8).expand(1, 1, side, side)


def noise(n, shape=(3, 24, 24), seed=0):
    random = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, *shape), generator=random, dtype=torch.uint8)


@pytest.mark.parametrize("cycles", [1, 5, 16])
def test_a_wave_has_its_power_at_its_frequency(cycles):
    metric = PowerSpectrum((1, 32, 32))
    metric.update(waves(cycles), torch.tensor([0]))
    assert metric.compute()[1:].argmax().item() + 1 == cycles


def test_the_power_of_noise_is_its_variance_at_every_frequency():
    metric = PowerSpectrum((1, 16, 24))
    metric.update(noise(4000, (1, 16, 24)), torch.arange(4000))
    expected = (np.arange(256) / 255).var()
    np.testing.assert_allclose(metric.compute()[1:], expected, rtol=0.05)


def test_half_the_amplitude_is_six_decibels_less():
    metric = SpectrumComparison((3, 24, 24))
    metric.update(noise(200), True, torch.arange(200))
    metric.update((noise(200).float() / 2 + 64).round().to(torch.uint8), False, torch.arange(200))
    found = metric.compute()
    assert found["spectrum"] == pytest.approx(20 * math.log10(2), abs=0.05)
    assert len(found["spectrum.real"]) == len(found["spectrum.fake"]) == 12


def test_statistics_of_flat_images():
    colours = torch.tensor([[255, 0, 0], [90, 90, 90]], dtype=torch.uint8).view(2, 3, 1, 1).expand(2, 3, 8, 8)
    red, grey = image_statistics(colours).tolist()
    assert grey == pytest.approx([0, 90, 0, 0], abs=1e-3)
    # Hasler and Süsstrunk: 0.3 · |(255, 127.5)|
    assert red == pytest.approx([0, 0.299 * 255, 0, 0.3 * math.hypot(255, 127.5)], abs=1e-2)


def test_sharpness_falls_with_a_blur_and_contrast_is_the_deviation():
    sharp = noise(20, (1, 24, 24))
    blurred = torch.nn.functional.avg_pool2d(sharp.float(), 3, 1, 1).to(torch.uint8)
    assert (image_statistics(blurred)[:, 0] < 0.5 * image_statistics(sharp)[:, 0]).all()
    np.testing.assert_allclose(image_statistics(sharp)[:, 2], sharp.flatten(1).float().std(1), rtol=1e-5)


def test_means_and_errors_are_those_of_the_images():
    metric, fake, real = ImageStatisticsComparison((3, 24, 24)), noise(50, seed=1), noise(40, seed=2)
    for rows in torch.arange(50).split(16):
        metric.update(fake[rows], False, rows)
    metric.update(real, True, torch.arange(40))
    found, each = metric.compute(), image_statistics(fake).double()
    for column, name in enumerate(("sharpness", "brightness", "contrast", "colourfulness")):
        assert found[name] == pytest.approx(each[:, column].mean().item())
        assert found[f"{name}.error"] == pytest.approx(each[:, column].std(correction=0).item() / 50**0.5)
        assert found[f"{name}.real"] == pytest.approx(image_statistics(real)[:, column].double().mean().item())
