"""Three lines on a scale: the size, the networks, and the length of training."""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch.utilities import rank_zero_info
from omegaconf import DictConfig

from gan_lab.cli.config.scale import AUGMENT, AUTO, Scaled, epochs_of, machine
from gan_lab.cli.config.scale_facts import Facts

ELSEWHERE = ("scale.", "callbacks.", "budget.", "image_size", "model.engine.")
"""Keys that the line on the networks leaves out."""


def say_scale(config: DictConfig, scaled: Scaled) -> None:
    """Says in three lines what a scale chose, and why.

    Args:
        config: the configuration in which it was set, with the size of the data.
        scaled: what was set.
    """
    for line in scale_lines(config, scaled):
        rank_zero_info(line)


def scale_lines(config: DictConfig, scaled: Scaled) -> list[str]:
    """Returns the lines: size, networks, length."""
    size = config.data.get("size")
    sides = [size, size] if isinstance(size, int) else list(size)
    chosen = "chosen for" if scaled.asked == AUTO else "on"
    return [
        f"Scale {scaled.name}, {chosen} {machine(config)} and {_images(scaled.facts)}: {sides[1]}×{sides[0]} px.",
        f"  Networks: {_networks(scaled.applied)}.",
        f"  Length: {_length(config, scaled.facts)}. What you type wins; scale=paper has the paper's sizes.",
    ]


def _images(facts: Facts) -> str:
    if facts.formats is None:
        return "these data"
    usual = facts.formats.usual_size
    size = f"{'' if facts.formats.size else 'usually '}{usual[1]}×{usual[0]} px"
    classes = f", {facts.classes} classes" if facts.classes else ""
    return f"{len(facts.formats):,} images ({facts.formats.colours}, {size}{classes})"


def _networks(applied: Mapping[str, Any]) -> str:
    keys = {key: value for key, value in applied.items() if not key.startswith(ELSEWHERE) and key != AUGMENT}
    values = " ".join(f"{key}={_shown(value)}" for key, value in keys.items()) or "as in the paper"
    why = f"; DiffAugment, because a discriminator memorises so few images (+{AUGMENT}=null leaves it out)"
    return values + (why if AUGMENT in applied else "")


def _shown(value: object) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(str, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _length(config: DictConfig, facts: Facts) -> str:
    budget, parts = config.budget, []
    if budget.images:
        passes = f", {_times(budget.images / facts.train)} over {facts.train:,}" if facts.train else ""
        parts.append(f"budget.images={budget.images}{passes}")
    if budget.epochs:
        parts.append(f"budget.epochs={budget.epochs:g}")
    if budget.minutes:
        parts.append(f"budget.minutes={budget.minutes:g}")
    paper = epochs_of(config)
    first = ", whichever comes first" if len(parts) > 1 else ""
    return f"{' or '.join(parts)}{first}" + (f" (scale=paper: {_times(paper)})" if paper else "")


def _times(passes: float) -> str:
    return f"{passes:,.0f} pass{'es' * (round(passes) != 1)}"
