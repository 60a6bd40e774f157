"""The cases that the backbone tests go through: every model as it is, every loss and remedy over DCGAN, every recipe,
and parts that meet nowhere else.
"""

from functools import cache
from pathlib import Path

from gan_lab.cli import home
from gan_lab.configuration import compose, resolve, settle

COMMON = ["batch_size=4", "logger=none", "callbacks=none", "log_every=1000"]
NARROW = ["generator.filters=4", "critic.filters=4", "critic.layers=1", "model.ema_half_life=10"]
SMALL = {
    "image": ["data=fake", "data.channels=3", "data.size=16"],
    "unpaired": ["data=fake_unpaired", "data.size=16", *NARROW],
    "paired": ["data=fake_paired", "data.size=16", *NARROW],
}


def names(folder: str) -> list[str]:
    return sorted(
        path.stem for path in (home("experiments") if folder == "recipe" else home("conf")).glob(f"{folder}/*.yaml")
    )


CASES = [
    *([f"model={model}"] for model in names("model")),
    *(["model=dcgan", f"loss={loss}"] for loss in names("loss")),
    *(["model=dcgan", f"remedy={remedy}"] for remedy in names("remedy")),
    *([f"recipe={recipe}"] for recipe in names("recipe")),
    *([f"model={model}", "network=resnet"] for model in ("lsgan", "wgan", "wgan_gp", "dragan")),
    ["model=acgan", "network=r3gan"],
    *(["model=r3gan", f"loss={loss}"] for loss in ("wgan_gp", "hinge")),
]


@cache
def small(*case: str) -> tuple[str, ...]:
    """What makes the case small: few narrow maps, 16 px, and classes where labels are told."""
    config = compose(case)
    network = config.get("network") or {}
    thin = ["network.base=4", "network.critic_base=4"] if "attention" in network else []
    thin += ["network.widths=16"] if "group" in network else []
    told = ["data.classes=3"] if config.conditional else []
    told += ["burn_in=1"] if "burn_in" in config else []  # so that schedules move at every iteration
    pool = ["model.pool=4"] if "pool" in config.model else []  # which fills, and shows old pictures
    return (*SMALL[config.takes], *thin, *told, *pool)


def plain(case: list[str], folder: Path | str, *more: str) -> dict:
    """The case's configuration on small fake pictures, on the CPU, in plain containers."""
    config = compose([*case, *small(*case), *COMMON, "trainer=cpu", f"run_dir={folder}", "runs=/nowhere", *more])
    settle(config)
    return resolve(config)


def limited(images: int) -> list[str]:
    return [f"budget.images={images}", "budget.epochs=null", "budget.minutes=null"]
