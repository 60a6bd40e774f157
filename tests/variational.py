"""Small variational autoencoders, for tests: their configurations, and checkpoints as of finished runs."""

import torch
from translators import lively

from gan_lab.common.instantiate import instantiate
from gan_lab.common.renames import FORMAT

SIDE = 12
DATA = {"_target_": "gan_lab.data.presets.digits", "name": "digits", "channels": 1, "size": SIDE, "batch_size": 4}


def node(classes=0, channels=1):
    """The configuration of a VAE of 4 latents, between pictures of 12×12."""
    shape = {"channels": channels, "height": SIDE, "width": SIDE, "widths": [16], "classes": classes}
    return {
        "_target_": "gan_lab.models.vae.VAE",
        "encoder": {"_target_": "gan_lab.networks.vae.MLPEncoder", "out": 8, **shape},
        "decoder": {"_target_": "gan_lab.networks.vae.MLPDecoder", "latent": 4, **shape},
        "likelihood": {"_target_": "gan_lab.losses.likelihoods.Bernoulli"},
        "prior": {"_target_": "gan_lab.models.bases.latents.Normal", "dim": 4},
        "optimizer": {"_target_": "torch.optim.Adam", "_partial_": True},
        "classes": classes,
    }


def checkpoint(path, classes=0, **data):
    """Writes an untrained model, whose pictures are lively, over the digits with these options."""
    model = instantiate(node(classes))
    for name in ("encoder", "decoder"):
        lively(model.averaged(name), 0.2)
    kept = {
        "state_dict": model.state_dict(),
        "gan_lab": {"model": node(classes), "data": {**DATA, "classes": classes, **data}, "format": FORMAT},
    }
    model.on_save_checkpoint(kept)
    torch.save(kept, path)
    return path
