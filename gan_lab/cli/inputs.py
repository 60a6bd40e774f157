"""What a command reads."""

from pathlib import Path
from typing import Any

from gan_lab.common.capabilities import Mixture, RealClips, RealImages, TwoDomains
from gan_lab.common.distributed import rank_zero_first
from gan_lab.common.errors import UserError
from gan_lab.common.instantiate import TRUSTED, instantiate
from gan_lab.training.checkpoint import read


def data_of(path: Path, plain: dict[str, Any]) -> RealImages | RealClips | TwoDomains | Mixture:
    """The data a checkpoint was trained on, ready to be read; ``root`` says where they are now, ``data`` what else of
    them is to be another way.
    """
    node = dict(read(path)["gan_lab"]["data"])
    if plain["root"] and "root" not in node:
        raise UserError(f"The data of {path} lie in no folder: leave root= away.")
    if plain["root"]:
        node["root"] = plain["root"]
    node |= plain["data"]
    data = instantiate(node, [*TRUSTED, *plain["trust"]])
    if not isinstance(data, RealImages | RealClips | TwoDomains | Mixture):
        raise UserError(
            f"The data of {path}, {type(data).__name__}, are not pictures that others can be compared with."
        )
    with rank_zero_first():
        data.prepare_data()  # type: ignore[union-attr]
    data.setup("test")  # type: ignore[union-attr]
    return data
