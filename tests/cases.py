"""The cases that the backbone tests go through: every model as it is, every loss over DCGAN, every recipe."""

from pathlib import Path

from gan_lab.cli import home
from gan_lab.runtime import compose, resolve, settle

SMALL = [
    "data=fake", "data.channels=3", "data.size=16", "batch_size=4", "logger=none", "callbacks=none", "log_every=1000",
]  # fmt: skip


def names(folder: str) -> list[str]:
    return sorted(
        path.stem for path in (home("experiments") if folder == "recipe" else home("conf")).glob(f"{folder}/*.yaml")
    )


CASES = [
    *([f"model={model}"] for model in names("model")),
    *(["model=dcgan", f"loss={loss}"] for loss in names("loss")),
    *([f"recipe={recipe}"] for recipe in names("recipe")),
]


def plain(case: list[str], folder: Path | str, *more: str) -> dict:
    """The case's configuration on small fake pictures, on the CPU, in plain containers."""
    config = compose([*case, *SMALL, "trainer=cpu", f"run_dir={folder}", "runs=/nowhere", *more])
    settle(config)
    return resolve(config)


def limited(images: int) -> list[str]:
    return [f"budget.images={images}", "budget.epochs=null", "budget.minutes=null"]
