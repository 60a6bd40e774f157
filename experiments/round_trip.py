"""Measures how near a generator comes to images: its own samples, and held-out ones, before and after pivotal tuning.

    python experiments/round_trip.py runs/stylegan2-folder/last.ckpt …/noto-emoji-blob2modern/testB

Samples are inverted together, in batches; held-out images too, and then the generator is tuned around each alone. The
loss has EfficientNet's perceptual distance; `pd_colour`, the distance in another network, is only measured. Speeds are
those of batches of 8 against the same images one by one, in turns, by the median.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import gan_lab
from gan_lab.common.device import describe_hardware, versions
from gan_lab.data.reading.examples import pictures_in
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.evaluation.features.perceptual import ColourDistance, GeneralDistance, ssim
from gan_lab.evaluation.metrics.reconstruction import psnr
from gan_lab.inference.inversion import Inversion, Likeness, invert
from gan_lab.inference.spaces import SpaceName, space_of, spread_of
from gan_lab.inference.tuning import tune, tuned

BATCH = 8
Measure = Callable[[Tensor, Tensor], Tensor]


def measured(found: Tensor, wanted: Tensor) -> dict[str, float]:
    """Returns medians over images (N, C, H, W) in [-1, 1]."""
    measures: dict[str, Measure] = {"psnr": psnr, "ssim": ssim, "pd_colour": ColourDistance()}
    with torch.no_grad():
        return {name: float(measure(found, wanted).median()) for name, measure in measures.items()}


def joined(parts: Sequence[Inversion]) -> Tensor:
    return torch.cat([part.images for part in parts])


def compared(of: Any, images: Tensor, turns: int, steps: int) -> dict[str, float]:
    """Returns seconds for an image, in a batch and alone, and their ratio."""
    seconds: dict[str, list[float]] = {"together": [], "alone": []}
    for _ in range(turns):
        for name, batches in (("together", [images]), ("alone", images.split(1))):
            began = time.perf_counter()
            for batch in batches:
                of(images=batch, steps=steps)
            seconds[name].append((time.perf_counter() - began) / len(images))
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    return {**medians, "alone_over_together": medians["alone"] / medians["together"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, help="a model with styles")
    parser.add_argument("held_out", type=Path, help="a folder of images that it was not trained on")
    parser.add_argument("--samples", type=int, default=50, help="inverted in w and w+ (default 50)")
    parser.add_argument("--images", type=int, default=16, help="of the folder (default 16)")
    parser.add_argument("--steps", type=int, default=500, help="of the inversion (default 500)")
    parser.add_argument("--tuning", type=int, default=350, help="steps of pivotal tuning (default 350)")
    parser.add_argument("--turns", type=int, default=3, help="of the comparison of speeds (default 3)")
    parser.add_argument("--output", type=Path, help="also write the result as JSON")
    arguments = parser.parse_args()
    model, likeness = gan_lab.load(arguments.checkpoint), Likeness(GeneralDistance())
    own = model.sample(arguments.samples, seed=1000)
    spec = ResizeSpec(tuple(own.shape[2:]), tuple(own.shape[2:]), own.shape[1], shortcut=False)
    held_out = pictures_in(arguments.held_out, "held_out", spec)
    held_out = held_out[:: max(1, len(held_out) // arguments.images)][: arguments.images]
    report: dict[str, Any] = {"samples": {}, "held_out": {}}
    names: tuple[SpaceName, ...] = ("w", "w+")
    for name in names:
        space = space_of(model, name)
        of = partial(invert, space, steps=arguments.steps, likeness=likeness, spread=spread_of(space))
        report["samples"][name] = measured(joined([of(images=each) for each in own.split(BATCH)]), own)
        pivots = [of(images=each) for each in held_out.split(1)]
        report["held_out"][name] = measured(joined(pivots), held_out)
        results = []
        for image, pivot in zip(held_out.split(1), pivots, strict=True):
            with tuned(model, tune(space, image, pivot, arguments.tuning, likeness=likeness)), torch.no_grad():
                results.append(space.images(pivot.codes, pivot.noise or None).clamp(-1, 1))
        report["held_out"][f"{name}, tuned"] = measured(torch.cat(results), held_out)
        print(json.dumps(report), flush=True)
    report["seconds_per_image"] = compared(of, own[:BATCH], arguments.turns, max(20, arguments.steps // 10))
    report |= {
        "model": type(model).__name__, "images_seen": int(model.images_seen), "steps": arguments.steps,
        "tuning": arguments.tuning, "n": {"samples": len(own), "held_out": len(held_out)},
        "hardware": describe_hardware(torch.device("cpu")), "versions": versions(), "date": date.today().isoformat(),
    }  # fmt: skip
    print(json.dumps(report, indent=1))
    if arguments.output:
        arguments.output.write_text(json.dumps({"round_trip": report}, indent=1) + "\n")


if __name__ == "__main__":
    main()
