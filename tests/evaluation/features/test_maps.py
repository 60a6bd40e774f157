"""Maps of timm's networks."""

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from gan_lab.common.errors import UserError
from gan_lab.evaluation.features.maps import timm_maps


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("timm") / "lite0.safetensors"
    save_file(timm.create_model("tf_efficientnet_lite0", pretrained=False).state_dict(), path)
    return path


def test_they_are_those_that_timm_gives_for_normalised_images(weights):
    images = torch.rand(2, 3, 64, 48) * 2 - 1
    shift, scale = (torch.tensor(each).view(3, 1, 1) for each in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    theirs = timm.create_model("tf_efficientnet_lite0", features_only=True, out_indices=(1, 2, 4)).eval()
    theirs.load_state_dict(load_file(weights), strict=False)
    maps = timm_maps("tf_efficientnet_lite0", weights, taps=[1, 2, 4])(images)
    for found, expected in zip(maps, theirs((images / 2 + 0.5 - shift) / scale), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("name", "words"), [
    ("tf_efficientnet_lite9", "timm has no network tf_efficientnet_lite9"), ("tf_efficientnet_lite1", "do not fit"),
])  # fmt: skip
def test_other_networks_are_refused_in_words(weights, name, words):
    with pytest.raises(UserError, match=words):
        timm_maps(name, weights)
