import timm
import torch
from train_general import folded

from gan_lab.networks.efficientnet import EfficientNetLite


def test_it_is_timms_network_with_its_batch_normalisation_folded():
    torch.manual_seed(0)
    theirs = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    for layer in theirs.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
            torch.nn.init.normal_(layer.bias, 0, 0.2)
            torch.nn.init.normal_(layer.running_mean, 0, 0.2)
            torch.nn.init.uniform_(layer.running_var, 0.5, 1.5)
    state = {name: tensor for name, tensor in theirs.state_dict().items() if "num_batches" not in name}
    ours = folded(state, EfficientNetLite())
    for height, width in ((64, 48), (31, 33)):  # even and odd sides at every stage
        images = torch.rand(2, 3, height, width) * 2 - 1
        for found, expected in zip(ours(images), _stages(theirs, images), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def _stages(network, images):
    x, maps = network.bn1(network.conv_stem(images)), []
    for number, stage in enumerate(network.blocks[:6]):
        x = stage(x)
        if number in (4, 5):
            maps.append(x)
    return maps
