"""Measures directions of attributes: how images answer to them, and what they change besides.

    python experiments/directions.py digits runs/stylegan2-mnist/last.ckpt
    python experiments/directions.py …/attributes.csv runs/fastgan-folder/last.ckpt

Attributes of digits are measured from pixels: slant, thickness, height and width. Those of other images are scores of
classifiers that are fitted to a table of examples. Each direction is found on samples of one seed, and
measured on samples of another; "only" is the sum of directions that changes no other attribute.
"""

import argparse
import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

import gan_lab
from gan_lab.common.device import describe_hardware, versions
from gan_lab.data.reading.examples import read_examples
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.evaluation.attribute_scores import scores_of
from gan_lab.evaluation.features.general import General
from gan_lab.inference.attributes import Attributes, leaks, responses
from gan_lab.inference.direction_search import Method, learnt
from gan_lab.inference.spaces import Space, space_of, spread_of

STRENGTHS = (-3, -2, -1, 0, 1, 2, 3)


def of_digits(images: Tensor) -> Mapping[str, Tensor]:
    """Returns slant, thickness, height and width of light digits (N, 1, H, W) on black, by moments and outlines."""
    ink = ((images[:, 0].double() + 1) / 2).clamp(0, 1)
    ink = torch.where(ink > 0.2, ink, 0.0)
    mass = ink.sum((1, 2)).clamp(min=1e-6)
    rows, columns = (torch.arange(side, dtype=torch.float64) for side in ink.shape[1:])
    y, x = (ink.sum(2) * rows).sum(1) / mass, (ink.sum(1) * columns).sum(1) / mass
    dy, dx = rows - y[:, None], columns - x[:, None]
    shear = torch.einsum("nhw,nh,nw->n", ink, dy, dx) / mass
    tall, wide = (ink.sum(2) * dy**2).sum(1) / mass, (ink.sum(1) * dx**2).sum(1) / mass
    outline = (ink.diff(dim=1) ** 2).sum((1, 2)) + (ink.diff(dim=2) ** 2).sum((1, 2))
    return {
        "slant": -shear / tall.clamp(min=1e-6), "thickness": 2 * mass / outline.clamp(min=1e-6),
        "height": tall.sqrt(), "width": wide.sqrt(),
    }  # fmt: skip


def measured(
    space: Space, attributes: Attributes, method: str, samples: int, strengths: tuple[int, ...]
) -> dict[str, Any]:
    """Returns accuracies, the answers to each strength, and the leaks of directions."""
    deviation = spread_of(space).deviation
    found = learnt(space, attributes, 2 * deviation, method, samples=samples)  # type: ignore[arg-type]
    answers = {
        name: responses(space, found.vectors[name], attributes, [each * deviation for each in strengths], seed=1)[name]
        for name in found.accuracies
    }
    return {
        "evidence": found.accuracies,
        "answers": {name: [round(float(each), 3) for each in values] for name, values in answers.items()},
        "monotone": {name: bool((values.diff() > 0).all()) for name, values in answers.items()},
        "leaks": leaks(space, found.vectors, attributes, 2 * deviation, samples=500, seed=1),
    }


def shares(table: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Returns what "only" leaks over what the plain direction does, each in units of what it is named for."""
    plain = [name for name in table if not name.endswith(" only")]

    def leaked(row: Mapping[str, float], own: str) -> float:
        return sum(abs(value) for name, value in row.items() if name != own) / abs(row[own])

    return {name: leaked(table[f"{name} only"], name) / leaked(table[name], name) for name in plain}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attributes", help="digits, or a table of attributes beside images (.csv)")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--space", default=None, help="z or w")
    parser.add_argument("--methods", nargs="+", choices=get_args(Method), default=["regression", "logistic"])
    parser.add_argument("--samples", type=int, default=2000, help="that directions are found from")
    parser.add_argument("--record", type=Path, default=None)
    arguments = parser.parse_args()
    model = gan_lab.load(arguments.checkpoint)
    space = space_of(model, arguments.space or ("w" if hasattr(model, "map_styles") else "z"))
    attributes: Attributes = of_digits
    if arguments.attributes != "digits":
        channels, height, width = space.images(space.of_samples(1)).shape[1:]
        spec = ResizeSpec((height, width), (height, width), channels, shortcut=False)
        attributes = scores_of(General(), read_examples(Path(arguments.attributes), spec))
    record: dict[str, Any] = {
        "model": type(model).__name__, "images_seen": int(model.images_seen), "space": space.name,
        "attributes": Path(arguments.attributes).name, "samples": arguments.samples, "strengths": STRENGTHS,
        "methods": {},
        "date": str(date.today()), "hardware": describe_hardware(torch.device("cpu")), "versions": versions(),
    }  # fmt: skip
    for method in arguments.methods:
        own = measured(space, attributes, method, arguments.samples, STRENGTHS)
        record["methods"][method] = {**own, "leaked_by_only": shares(own["leaks"])}
        print(method, json.dumps(record["methods"][method], indent=1), flush=True)
    if arguments.record:
        arguments.record.write_text(json.dumps({"directions": record}, indent=1) + "\n")


if __name__ == "__main__":
    main()
