import pytest
import torch
import torchvision

from gan_lab.common.errors import UserError
from gan_lab.networks.vgg import DEVIATION, MEAN, VGG


def test_it_is_torchvisions_network():
    taps = (1, 6, 11, 20, 29)
    theirs = torchvision.models.vgg19(weights=None).features.eval()
    ours = VGG(taps)
    ours.load_state_dict({name: theirs.state_dict()[name.removeprefix("features.")] for name in ours.state_dict()})
    images = torch.rand(1, 3, 40, 32) * 2 - 1
    x = ((images + 1) / 2 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(DEVIATION).view(3, 1, 1)
    maps = ours(images)
    for number, layer in enumerate(theirs[: taps[-1] + 1]):
        x = layer(x)
        if number in taps:
            torch.testing.assert_close(maps[taps.index(number)], x)
    assert [each.shape[1] for each in maps] == ours.widths == [64, 128, 256, 512, 512]


@pytest.mark.parametrize("taps", [[], [37], [3, 1], [2, 2]])
def test_other_layers_are_refused(taps):
    with pytest.raises(UserError, match="give ascending numbers from 0 to 36"):
        VGG(taps)
