"""One of two processes: trains every model for three iterations and writes down what it then holds."""

import sys
from functools import partial
from pathlib import Path

import torch
from cases import CASES, limited, plain
from torch import nn

from gan_lab.build import build
from gan_lab.core.budget import Budget
from gan_lab.core.gan import GANModule
from gan_lab.core.latents import Normal
from gan_lab.losses.adversarial import Relativistic
from gan_lab.losses.penalties import R1, R2, GradientPenalty
from gan_lab.runtime import make_trainer

BATCH, ITERATIONS = 4, 3


def free_of_batch_statistics(penalties: dict) -> GANModule:
    """A GAN whose joined batch must train exactly as its two halves do."""
    generator = nn.Sequential(
        nn.Linear(5, 32), nn.Tanh(), nn.Linear(32, 3 * 16 * 16), nn.Tanh(), nn.Unflatten(1, (3, 16, 16))
    )
    critic = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 32), nn.Tanh(), nn.Linear(32, 1))
    sgd = partial(torch.optim.SGD, lr=0.1)
    return GANModule(
        generator, critic, Normal(5), Relativistic(), sgd, sgd, penalties, budget=Budget(images=BATCH * ITERATIONS)
    )


PENALTIES = {"r1": R1(1.0), "r2": R2(1.0), "gradient_penalty": GradientPenalty(1.0)}


def main(folder: str, devices: int) -> None:
    torch.set_num_threads(1)
    trainers = ["trainer=cpu"] if devices == 1 else ["trainer=ddp_cpu"]
    for case in CASES:
        both_move = ["loss.n_critic=2"] if "wgan" in " ".join(case) else []
        fit(
            plain(case, folder, *limited(BATCH * ITERATIONS), *trainers, *both_move),
            None,
            Path(folder),
            " ".join(case),
            devices,
        )
    configuration = plain(["model=dcgan"], folder, *limited(BATCH * ITERATIONS), *trainers, "precision=32-true")
    for name in PENALTIES:
        torch.manual_seed(0)
        module = free_of_batch_statistics({name: PENALTIES[name]})
        fit(configuration, module, Path(folder), f"exact {name}", devices)


def fit(configuration: dict, module: GANModule | None, folder: Path, name: str, devices: int) -> None:
    torch.manual_seed(0)
    trainer, _ = make_trainer(configuration)
    module = module or build(configuration["model"])
    trainer.fit(module, datamodule=build(configuration["data"]))
    state = {key: value.clone() for key, value in module.state_dict().items()}
    torch.save(state, folder / f"{devices}-{trainer.global_rank}-{name}.pt")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
