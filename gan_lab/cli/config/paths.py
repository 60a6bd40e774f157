"""Paths of the configuration: inside an installed package, or beside the package in a checkout."""

from pathlib import Path


def home(name: str) -> Path:
    """The folder ``name`` (conf, experiments) inside an installed package, else beside the package in a checkout."""
    package = Path(__file__).resolve().parents[2]
    inside = package / name
    return inside if inside.is_dir() else package.parent / name


def choices(group: str) -> list[str]:
    """The names of a config group's choices, sorted; empty if there is no such group."""
    return sorted({path.stem for place in ("conf", "experiments") for path in (home(place) / group).glob("*.yaml")})


def add_searchpath(folder: Path) -> None:
    """Registers a folder of recipes and sweeps, which Hydra then finds however a user sets ``hydra.searchpath``."""
    from hydra.core.plugins import Plugins

    from gan_lab.cli.config.searchpath import Experiments

    Experiments.folder = folder
    Plugins.instance().register(Experiments)
