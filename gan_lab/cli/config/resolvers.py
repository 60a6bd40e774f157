"""What interpolations in conf/ call, such as ``${first:${loss.optimizer.lr},2e-4}``: importing this registers them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import ListConfig, OmegaConf


def first(*values: Any) -> Any:
    """The first value that is not null: ``${first:${loss.optimizer.lr},2e-4}``."""
    found = next((value for value in values if value is not None), None)
    return OmegaConf.create(found) if isinstance(found, list) else found  # which omegaconf itself does not wrap


def present(*values: Any) -> ListConfig:
    """Those that are not null, each once."""
    return OmegaConf.create(list(dict.fromkeys(value for value in values if value is not None)))


def chosen(group: str) -> str | None:
    """The choice made in a group of the configuration, such as recipe; null where there is none, or no command line."""
    from hydra.core.hydra_config import HydraConfig

    choice = HydraConfig.get().runtime.choices.get(group) if HydraConfig.initialized() else None
    return None if choice in (None, "null") else str(choice)


def is_multirun() -> bool:
    """Whether this is one job of a sweep."""
    from hydra.core.hydra_config import HydraConfig

    return HydraConfig.initialized() and str(HydraConfig.get().mode).endswith("MULTIRUN")


def sweep_name() -> str | None:
    """The name of the sweep's folder; null outside one."""
    from hydra.core.hydra_config import HydraConfig

    return Path(HydraConfig.get().sweep.dir).name if is_multirun() else None


def title(name: str, folder: str | None) -> str:
    """What reports call a run (``runs.title``): its name and its folder's own; the first alone before it is made."""
    own = Path(folder or name).name
    return own if name in own else f"{name} {own}"


def unless(*values: Any) -> Any:
    """The last value, or null where one of the others is given: a default length does not cut a stated one."""
    return None if any(value is not None for value in values[:-1]) else values[-1]


def when(condition: bool, value: Any) -> Any:
    """The value, or 0 where the condition does not hold or there is no value."""
    return (value if condition else 0) or 0


def total(*counts: int) -> int:
    """The sum: the latents of a generator that takes noise and codes."""
    return sum(counts)


def attention(height: int, width: int) -> int:
    """Side of the maps that attend to themselves: SAGAN's 32 px, or a quarter of a smaller picture's, 4 at least."""
    return 32 if min(height, width) >= 128 else max(min(height, width) // 4, 4)


def side(size: Any, index: int) -> int | None:
    """Height (0) or width (1) of ``data.size``, a number or [height, width]."""
    if size is None or isinstance(size, int):
        return size
    return int(size[index])


def depth(*domains: Mapping[str, int]) -> int:
    """Channels that a network sees of pictures of these domains together: a label map's classes, or colours."""
    return sum(domain.get("labels") or domain["channels"] for domain in domains)


def given(channels: int, likelihood: Mapping[str, Any] | None) -> int:
    """Maps that a decoder gives a likelihood: with a scale of its own for each value where none is stated."""
    return channels * (2 if likelihood and "scale" in likelihood and likelihood["scale"] is None else 1)


def levels(binarize: str | None) -> int:
    """Values that a pixel's channel can have."""
    return 2 if binarize else 256


def quotient(a: int, times: int) -> int:
    """A side that is halved so many times."""
    return a >> times


def shorter(a: int, b: int) -> int:
    """Of two sides."""
    return min(a, b)


def halvings(height: int, width: int) -> int:
    """How often both sides can be halved, 8 times at most."""
    return next(times for times in range(8, -1, -1) if not (height % (1 << times) or width % (1 << times)))


def blocks(height: int, width: int) -> int:
    """Residual blocks for a picture of that size (Zhu et al. 2017, section 7.2)."""
    return 9 if min(height, width) >= 256 else 6


def reduced(precision: str) -> bool:
    """Whether the networks compute in less than float32."""
    return precision != "32-true"


def fused(precision: str) -> bool:
    """Whether an optimizer's fused kernel serves: under float16 it would hide unscaled gradients from clipping."""
    return precision != "16-mixed"


CHOICES = (first, present, chosen, sweep_name, title, unless, when)
FACTS = (total, attention, side, depth, given, levels, quotient, shorter, halvings, blocks, reduced, fused)
for resolver in (*CHOICES, *FACTS):
    OmegaConf.register_new_resolver(resolver.__name__, resolver, replace=True)
