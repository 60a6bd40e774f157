"""Numbers of parts and of commands are in ranges."""

import re
from collections.abc import Sequence
from types import UnionType
from typing import Annotated, Union, get_args, get_origin, get_type_hints

import pytest

from gan_lab.cli.command import commands
from gan_lab.cli.config.paths import home
from gan_lab.cli.config.refused import REFUSED
from gan_lab.cli.values import convert
from gan_lab.common.arguments import annotations_of, convert_arguments
from gan_lab.common.bounds import Bounds
from gan_lab.common.errors import UserError
from gan_lab.common.instantiate import resolve_target

FILES = [file for place in ("conf", "experiments") for file in home(place).rglob("*.yaml")]
OPTIMIZERS = [f"torch.optim.{name}" for name in ("Adam", "AdamW", "NAdam", "RAdam", "SGD", "RMSprop", "Adagrad")]
TARGETS = sorted({name for file in FILES for name in re.findall(r"_target_: *([\w.]+)", file.read_text())})
TARGETS = sorted({*TARGETS, *OPTIMIZERS} - {"hydra_plugins.gan_lab.Search"})
LIGHTNINGS = "Lightning refuses what it cannot use, see check_tools"
SIGNED = {
    "mean": "an extractor's mean colour may be negative",
    "devices": "-1 stands for all devices",
    "momentum_decay": "torch checks it",
    **dict.fromkeys(("dampening", "initial_accumulator_value"), "torch checks it"),
    **dict.fromkeys(("fast_dev_run", "overfit_batches"), LIGHTNINGS),
    **dict.fromkeys((f"limit_{stage}_batches" for stage in ("train", "test", "predict")), LIGHTNINGS),
    **dict.fromkeys(REFUSED, "no value is accepted"),
}
"""Arguments that may be negative, or are checked elsewhere, and why."""
OF_COMMANDS = {
    **dict.fromkeys(("label", "classes", "to"), "compared with the model's classes"),
    "direction": "compared with the file's directions",
    "strength": "a direction leads both ways",
}
"""Keys of commands that take negative numbers, or are checked elsewhere."""


def negative(kind):
    """Returns a negative value of the numbers that an annotation allows; None if it allows none."""
    if get_origin(kind) is Annotated:
        return negative(get_args(kind)[0])
    if kind in (int, float):
        return kind(-1)
    kinds = [each for each in get_args(kind) if each is not ...]
    found = [each for each in map(negative, kinds) if each is not None]
    if not found:
        return None
    if get_origin(kind) in (Union, UnionType):
        return found[0]
    if get_origin(kind) is tuple:
        return [found[0]] * len(kinds)
    return found[:1] if get_origin(kind) in (list, Sequence) else None


@pytest.mark.parametrize("name", TARGETS)
def test_no_number_of_a_part_may_be_negative_unless_it_is_listed(name):
    target = resolve_target(name)
    for argument, kind in annotations_of(target).items():
        if (value := negative(kind)) is not None and argument not in SIGNED:
            with pytest.raises(UserError, match=f"{argument}=.*-1"):
                convert_arguments(target, {argument: value})


@pytest.mark.parametrize("command", commands(), ids=lambda each: each.name)
def test_no_number_of_a_command_may_be_negative(command):
    for key, kind in get_type_hints(command.request, include_extras=True).items():
        if (value := negative(kind)) is not None and key not in OF_COMMANDS:
            with pytest.raises(UserError, match=f"{key}=.*-1"):
                convert(key, value, kind)


@pytest.mark.parametrize(
    ("target", "argument", "value", "said"),
    [
        ("gan_lab.networks.dcgan.Generator", "base", 0, "at.base=0 is not valid: give an integer of at least 1."),
        ("gan_lab.networks.mlp.Generator", "widths", [8, 0],
         "at.widths=[8,0] is not valid: give a list of integers of at least 1."),
        ("torch.optim.Adam", "lr", -1, "at.lr=-1 is not valid: give a number of at least 0."),
        ("torch.optim.Adam", "lr", float("nan"), "at.lr=nan is not valid: give a number of at least 0."),
        ("torch.optim.Adam", "betas", [0.5, 1],
         "at.betas=[0.5,1] is not valid: give a list of numbers of at least 0 and below 1."),
        ("gan_lab.training.budget.Budget", "minutes", 0, "at.minutes=0 is not valid: give a number above 0 or null."),
        ("gan_lab.data.presets.digits", "workers", -1, "at.workers=-1 is not valid: give an integer of at least 0."),
        ("gan_lab.training.callbacks.samples.SampleGrid", "seed", 2**32,
         "at.seed=4294967296 is not valid: give an integer from 0 to 4294967295."),
    ],
)  # fmt: skip
def test_a_number_out_of_its_range_is_named_with_the_range(target, argument, value, said):
    with pytest.raises(UserError) as error:
        convert_arguments(resolve_target(target), {argument: value}, "at")
    assert str(error.value) == said


@pytest.mark.parametrize(
    ("bounds", "inside", "outside"),
    [
        (Bounds(0), 0, -1e-9),
        (Bounds(0, above=True), 1e-9, 0),
        (Bounds(0, 1), 1, 1.001),
        (Bounds(0, 1, below=True), 0.999, 1),
        (Bounds(), -3, float("nan")),
    ],
)
def test_ranges_have_ends(bounds, inside, outside):
    assert bounds.contain(inside) and not bounds.contain(outside)
