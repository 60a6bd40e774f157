import copy
from pathlib import Path

import pytest
import torch
import torchmetrics.functional.image.lpips as reference
import torchvision
from scipy.ndimage import gaussian_filter

from gan_lab.common.errors import UserError
from gan_lab.evaluation.features import perceptual
from gan_lab.evaluation.features.perceptual import (
    LPIPS,
    ColourDistance,
    GeneralDistance,
    l1,
    lpips,
    paired_metrics,
    pixel_error,
    ssim,
)


def noise(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def random_network(network):
    """torchvision's layers with random weights, without the cost of its classifier."""
    with torch.device("meta"):
        features = getattr(torchvision.models, network)().features
    random = torch.Generator().manual_seed(0)
    state = {
        name: torch.randn(value.shape, generator=random) * (2 / max(1, value[0].numel())) ** 0.5
        for name, value in features.state_dict().items()
    }
    features.load_state_dict(state, assign=True)
    return features, {f"features.{name}": value for name, value in state.items()} | {"classifier.1.bias": torch.ones(2)}


@pytest.mark.parametrize(("network", "theirs"), [("alexnet", "alex"), ("vgg16", "vgg")])
def test_lpips_equals_the_reference_over_the_same_network_with_the_published_weights(network, theirs, monkeypatch):
    features, state = random_network(network)
    monkeypatch.setattr(reference, "_get_tv_model_features", lambda *_: copy.deepcopy(features))
    expected = reference._LPIPS(pretrained=True, net=theirs, pnet_rand=True)
    a, b = noise(2, 3, 40, 56, seed=1), noise(2, 3, 40, 56, seed=2)
    found = LPIPS(network, state, "")
    with torch.no_grad():
        torch.testing.assert_close(found(a, b), expected(a, b).flatten(), rtol=1e-4, atol=1e-6)
        assert found(a, a).abs().max() == 0
        torch.testing.assert_close(found(a[:, :1], b), found(a[:, :1].expand(-1, 3, -1, -1), b))


@pytest.mark.parametrize(("network", "theirs"), [("alexnet", "alex"), ("vgg16", "vgg")])
def test_the_learned_weights_are_the_published_ones(network, theirs):
    state = random_network(network)[1]
    found = LPIPS(network, state, "")
    file = Path(reference.__file__).with_name("lpips_models") / f"{theirs}.pth"
    published = torch.load(file, "cpu", weights_only=True)
    for number in range(5):
        assert torch.equal(getattr(found, f"weight{number}"), published[f"lin{number}.model.1.weight"][0])


def test_weights_are_used_if_they_exist_and_are_the_published_ones(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert lpips("alexnet") is None
    with pytest.raises(UserError, match=r"no .*/nowhere.pth: give weights.alexnet the path"):
        lpips("alexnet", str(tmp_path / "nowhere.pth"))
    path = tmp_path / "hub" / "checkpoints" / "alexnet-owt-7be5be79.pth"
    path.parent.mkdir(parents=True)
    torch.save(random_network("alexnet")[1], path)
    with pytest.raises(UserError, match="does not begin with 7be5be79"):
        lpips("alexnet")
    monkeypatch.setattr(perceptual, "sha256", lambda _: "7be5be79" + "0" * 56)
    assert lpips("alexnet").sha256.startswith("7be5be79")
    assert set(paired_metrics(32, {})) == {"l1", "ssim", "pd_colour", "lpips_alex"}
    assert set(paired_metrics(31, {})) == {"l1", "ssim", "pd_colour"}
    assert set(paired_metrics(10, {})) == {"l1", "pd_colour"}


@pytest.mark.parametrize("kind", [ColourDistance, GeneralDistance])
def test_the_distances_of_the_package_are_their_formula(kind):
    distance = kind()
    maps_of = distance.network.stages if kind is ColourDistance else distance.network
    a, b = noise(3, 3, 20, 28, seed=1), noise(3, 3, 20, 28, seed=2)
    layers = []
    for one, two in zip(*(maps_of(x) for x in (a, b)), strict=True):
        cosine = torch.nn.functional.cosine_similarity(one, two, dim=1)  # |u - v|² = 2 - 2 u·v
        empty = (one.norm(dim=1) == 0) | (two.norm(dim=1) == 0)
        assert not empty.any()
        layers.append((2 - 2 * cosine).mean((1, 2)))
    assert len(layers) == 4
    torch.testing.assert_close(distance(a, b), torch.stack(layers).mean(0), rtol=1e-4, atol=1e-6)
    assert distance(a, a).max() == 0
    grey = a[:, :1]
    torch.testing.assert_close(distance(grey, b), distance(grey.expand(-1, 3, -1, -1), b))


@pytest.mark.parametrize("kind", [ColourDistance, GeneralDistance])
def test_a_stronger_blur_has_a_larger_distance(kind):
    image = noise(1, 3, 32, 32)
    blurred = [torch.nn.functional.avg_pool2d(image, k, 1, k // 2, count_include_pad=False) for k in (1, 3, 5, 9)]
    distances = [kind()(image, each).item() for each in blurred]
    assert distances == sorted(distances) and distances[0] == 0 < distances[1]


@pytest.mark.parametrize("shape", [(2, 3, 40, 56), (1, 1, 11, 30)])
def test_ssim_averages_over_the_windows_within_the_image(shape):
    a, b = noise(*shape, seed=1), noise(*shape, seed=2)
    mixed = 0.7 * a + 0.3 * b

    def filtered(x):
        return gaussian_filter(x, (0, 0, 1.5, 1.5), truncate=5 / 1.5)[..., 5:-5, 5:-5]

    x, y = ((each.double().numpy() + 1) / 2 for each in (mixed, a))
    mean_x, mean_y = filtered(x), filtered(y)
    covariance = filtered(x * y) - mean_x * mean_y
    variances = filtered(x * x) - mean_x**2 + filtered(y * y) - mean_y**2
    index = (2 * mean_x * mean_y + 1e-4) * (2 * covariance + 9e-4)
    index /= (mean_x**2 + mean_y**2 + 1e-4) * (variances + 9e-4)
    assert ssim(mixed, a).tolist() == pytest.approx(index.reshape(len(a), -1).mean(1).tolist(), abs=1e-5)


def test_ssim_of_images_below_its_window_is_refused():
    with pytest.raises(UserError, match="at least 11 px, not 10×30"):
        ssim(noise(1, 3, 10, 30), noise(1, 3, 10, 30))


def test_l1_ssim_and_pixel_error_are_their_closed_forms():
    dark, light = torch.full((2, 3, 16, 16), -0.5), torch.full((2, 3, 16, 16), 0.25)
    assert l1(dark, light).tolist() == [0.75, 0.75]
    c1 = 0.01**2
    expected = (2 * 0.25 * 0.625 + c1) / (0.25**2 + 0.625**2 + c1)  # as shares of white
    assert ssim(dark, light).tolist() == pytest.approx([expected] * 2, rel=1e-3)
    real = torch.nn.functional.one_hot(torch.tensor([[[0, 1], [2, 2]]]), 3).permute(0, 3, 1, 2).float()
    real[0, :, 1, 1] = 0  # a pixel without a class
    fake = torch.zeros(1, 3, 2, 2)
    fake[:, 1] = 0.3
    assert pixel_error(fake, real).tolist() == pytest.approx([2 / 3])
