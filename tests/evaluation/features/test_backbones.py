"""Features of any network with a weight file."""

import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import save_file
from torch import nn

from gan_lab.cli.config.compose import compose
from gan_lab.common.errors import UserError
from gan_lab.common.instantiate import instantiate
from gan_lab.evaluation.features.backbones import Backbone
from gan_lab.evaluation.image_sets import SampledImages, SplitImages
from gan_lab.evaluation.suite import Suite


def network(seed=0):
    torch.manual_seed(seed)
    maps = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.ReLU())
    return nn.Sequential(maps, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 7))


@pytest.fixture
def weights(tmp_path):
    save_file(network().state_dict(), tmp_path / "w.safetensors")
    torch.save(network().state_dict(), tmp_path / "w.pth")
    return tmp_path


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_features_are_the_output_of_the_network_or_of_a_layer(weights, name):
    images = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
    prepared = (images / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    options = {"size": 16, "mean": mean, "std": std}
    whole = Backbone("small", network(seed=1), weights / name, **options)
    with torch.no_grad():
        torch.testing.assert_close(whole(images)[0], network()(prepared))
        layer = Backbone("small", network(seed=1), weights / name, layer="0.0", **options)
        torch.testing.assert_close(layer(images)[0], network()[0][0](prepared).mean((2, 3)))
    assert (whole.dim, layer.dim, whole.classes, whole.metric_name("fd")) == (7, 5, 0, "fd_small")
    assert whole(images[:, :1, :9])[0].shape == (4, 7)


def test_the_first_token_is_taken(weights):
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.own = network()

        def forward(self, images):
            return torch.stack([self.own(images), torch.zeros(len(images), 7)], 1)

    save_file({f"own.{key}": value for key, value in network().state_dict().items()}, weights / "t.safetensors")
    images = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    tokens, plain = Backbone("t", Tokens(), weights / "t.safetensors"), Backbone("p", network(), weights / "w.pth")
    assert tokens(images)[0].equal(plain(images)[0])


def test_a_configured_torchvision_network(tmp_path):
    import torchvision

    torch.save(torchvision.models.resnet18().state_dict(), tmp_path / "w.pth")
    node = {
        "_target_": "gan_lab.evaluation.features.backbones.Backbone",
        "name": "resnet18",
        "layer": "avgpool",
        "size": 64,
    }
    built = instantiate(
        {**node, "network": {"_target_": "torchvision.models.resnet18"}, "weights": str(tmp_path / "w.pth")}
    )
    features, logits = built(torch.zeros(2, 1, 20, 20, dtype=torch.uint8))
    assert features.shape == (2, 512) and logits.shape == (2, 0)


def test_everything_that_changes_features_is_described_and_part_of_the_cache_key(weights, doubles, tmp_path):
    """Networks without logits have no score."""

    def measured(**options):
        extractor = Backbone("small", network(), weights / "w.pth", size=8, **options)
        real = SplitImages(doubles.ImageData(), "train")
        built = Suite(doubles.ALL, [extractor], real, cache_dir=tmp_path, progress=False)
        return built.evaluate(SampledImages(doubles.Sampler(), (3, 4, 4), 40))[0]

    described = []
    for options in ({}, {"mean": (0.5, 0.5, 0.5)}, {"std": (0.5, 0.5, 0.5)}, {"layer": "0.0"}, {"layer": "0.1"}):
        metrics = measured(**options)
        assert "fd_small" in metrics and "cs_small" not in metrics
        described.append(metrics["fd_small"])
    assert len(set(described)) == 5
    with pytest.raises(UserError, match="one name"):
        Suite(
            {}, [Backbone("small", network(), weights / "w.pth", size=8)] * 2, SplitImages(doubles.ImageData(), "train")
        )


@pytest.mark.parametrize("name", ["dinov2", "clip"])
def test_the_configured_vision_transformers_load_their_authors_files(tmp_path, name):
    import timm

    small = {"dinov2": "vit_small_patch14_dinov2", "clip": "vit_medium_patch32_clip_224"}[name]
    node = compose([f"extractor={name}"], "evaluate").extractor[name]
    node.network.model_name, node.weights = small, str(tmp_path / "w.pth")
    authors = timm.create_model(small, num_classes=node.network.num_classes)  # at their own size, 518 px for DINOv2
    state = authors.state_dict() | ({"mask_token": torch.zeros(1, 384)} if name == "dinov2" else {})
    torch.save(state, tmp_path / "w.pth")
    built = instantiate(OmegaConf.to_container(node, resolve=True))
    assert built.dim == {"dinov2": 384, "clip": 512}[name]
    assert built.describe()["sha256"] and built.describe()["size"] == 224


def test_weights_and_layers_that_do_not_fit_raise(weights):
    (weights / "broken").write_bytes(b"nothing")
    for name in ("broken", "absent", "broken.safetensors"):
        with pytest.raises(UserError, match="do not fit"):
            Backbone("small", network(), weights / name)
    with pytest.raises(UserError, match=r"do not fit .*Missing key.*weight"):
        Backbone("small", nn.Linear(3, 3), weights / "w.pth")
    with pytest.raises(UserError, match="no layer nowhere"):
        Backbone("small", network(), weights / "w.pth", layer="nowhere")
