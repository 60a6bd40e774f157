"""A short training, as the program does it, for tests."""

import torch

from gan_lab.common.instantiate import instantiate
from gan_lab.training.run_config import RunConfig
from gan_lab.training.trainer import make_trainer


def fit(configuration, callback=None, resume=None, model=None):
    """The trainer and the model, by default the configuration's, after the budget."""
    torch.manual_seed(configuration["seed"])
    trainer, _ = make_trainer(RunConfig.of(configuration))
    if callback is not None:
        trainer.callbacks.append(callback)
    model = model or instantiate(configuration["model"])
    trainer.fit(model, datamodule=instantiate(configuration["data"]), ckpt_path=resume, weights_only=True)
    return trainer, model
