"""Networks compute alike in every layout of memory, and nearly alike in bfloat16."""

import pytest
import torch
from cases import small

from gan_lab.cli.config.compose import compose, resolve
from gan_lab.common.instantiate import instantiate
from gan_lab.training.alternating import to_channels_last
from gan_lab.training.noise import KeyedStream

CASES = [["model=dcgan", "network=resnet"]]
CASES += [[f"model={name}"] for name in ("dcgan", "sagan", "biggan", "biggan_deep", "stylegan2", "progressive", "r3gan",
                                         "fastgan", "sngan")]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_they_compute_alike_in_bfloat16_with_channels_last(case):
    torch.manual_seed(0)
    model = instantiate(resolve(compose([*case, *small(*case), "data.size=32"]))["model"]).eval()
    for name, parameter in model.named_parameters():
        if name.endswith("strength"):  # of noise and of attention, which begin at 0
            torch.nn.init.constant_(parameter, 0.3)
    inputs = {"generator": model.prior(KeyedStream(0), 4), "discriminator": torch.randn(4, 3, 32, 32)}
    labels = [torch.arange(4) % model.classes] if getattr(model, "classes", 0) else []
    level = [3.0] if "model=progressive" in case else []
    for player, x in inputs.items():
        network = getattr(model, player)

        def output(network=network, x=x):
            found = network(x, *labels, *level)
            return found if isinstance(found, torch.Tensor) else found[0]

        with torch.no_grad():
            expected = output()
            to_channels_last(network)
            torch.testing.assert_close(output(), expected, atol=1e-4, rtol=1e-3)
            with torch.autocast("cpu", torch.bfloat16):
                found = output().float()
        assert found.isfinite().all() and (found - expected).norm() < 0.05 * expected.norm(), player
