"""Shows how the Fréchet distance depends on the number of images, and how well few images extrapolate.

Compares CIFAR-10's test images, unchanged and slightly blurred, with its training images, in our extractor's features:

    python experiments/bias.py CIFAR_FOLDER

The folder holds ``train`` and ``test``, as folders or zips of class folders. A value for N images is the mean over as
many disjoint draws of N as the test images allow. Writes results/bias.json and results/bias.svg.
"""

import argparse
import json
from functools import reduce
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from gan_lab.common.device import describe_hardware, versions
from gan_lab.data.presets import folder
from gan_lab.evaluation.features.extractors import Colour
from gan_lab.evaluation.image_sets import SplitImages
from gan_lab.evaluation.metrics.frechet import MomentSums, frechet_distance
from gan_lab.evaluation.metrics.frechet_infinity import FrechetInfinity
from gan_lab.evaluation.reports.charts import Axes
from gan_lab.evaluation.statistics import NotApplicableError, Values

HERE = Path(__file__).parent
SIZES = (100, 250, 500, 1000, 2500, 5000)
SHOWN = 250  # the smallest N in the plot
KINDS = {"test": "#2a78c2", "blurred": "#d2691e"}

Found = dict[int, dict[str, float]]


def distances(real: Tensor, fake: Tensor) -> Found:
    """Returns, by N, plain and extrapolated distances, their deviations over draws, and their mean standard errors."""
    found: Found = {}
    for size in SIZES:
        metric = FrechetInfinity(real.shape[1], size)
        metric.real.update(real)
        draws = []
        for part in fake.split(size)[: len(fake) // size]:
            metric.fake.reset()
            metric.fake.update(part)
            draws.append(compared(metric))
        found[size] = {"draws": len(draws)}
        for name, key in (("plain", "fd"), ("extrapolated", "fd_inf")):
            values = [float(draw[key]) for draw in draws if key in draw]  # type: ignore[arg-type]
            errors = [float(draw[f"{key}.error"]) for draw in draws if f"{key}.error" in draw]  # type: ignore[arg-type]
            found[size] |= {name: fmean(values)} if values else {}
            found[size] |= {f"{name}_error": fmean(errors)} if errors else {}
            found[size] |= {f"{name}_deviation": stdev(values)} if len(values) > 1 else {}
    return found


def compared(metric: FrechetInfinity) -> Values:
    """Returns both distances, or only the plain one if there are too few images to extrapolate from."""
    real, fake = metric.real.compute(), metric.fake.compute()
    try:
        return metric.compare(real, fake)
    except NotApplicableError:
        return {"fd": frechet_distance(real, reduce(MomentSums.__add__, fake).moments())}


def draw(found: dict[str, Found]) -> str:
    """Returns an SVG of distances over 1,000 / N: filled circles are plain, open ones extrapolated from N images."""
    shown = {kind: {n: each for n, each in by_size.items() if n >= SHOWN} for kind, by_size in found.items()}
    top = max(each["plain"] for by_size in shown.values() for each in by_size.values())
    axes = Axes((0, 1000 / SHOWN), (-0.05 * top, 1.1 * top), "1,000 / N", "fd_colour")
    marks = []
    for number, (kind, by_size) in enumerate(shown.items()):
        ink = KINDS[kind]
        for name, fill, dash in (("plain", ink, ""), ("extrapolated", "white", ' stroke-dasharray="3 3"')):
            points = [axes.to_pixels(1000 / n, each[name]) for n, each in by_size.items()]
            line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            marks.append(f'<polyline fill="none" stroke="{ink}" stroke-width="1.5"{dash} points="{line}"/>')
            marks += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{fill}" stroke="{ink}"/>' for x, y in points]
        x, y = axes.to_pixels(1000 / SHOWN, by_size[SHOWN]["plain"])
        marks.append(f'<text x="{x - 8:.1f}" y="{y - 8 + 2 * number:.1f}" text-anchor="end">{kind}</text>')
    svg = axes.svg("The Fréchet distance over the number of images", "".join(marks))
    alone = 'xmlns="http://www.w3.org/2000/svg" width="560" height="260" font-family="sans-serif" font-size="11"'
    return svg.replace("<svg ", f'<svg {alone} fill="#777" ', 1).replace('class="grid"', 'stroke="#bbb"')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    data: Any = folder(str(parser.parse_args().folder), name="cifar10", channels=3, classes=0, size=32, batch_size=64)
    data.prepare_data()
    extractor = Colour()
    real = torch.cat([extractor(images)[0] for _, images in SplitImages(data, "train").batches(True)])
    test = torch.cat([images for _, images in SplitImages(data, "test").batches(False)])
    test = test[torch.randperm(len(test), generator=torch.Generator().manual_seed(0))]  # they are ordered by class
    seen = {"test": test, "blurred": gaussian_blur(test, [3, 3], [0.6, 0.6])}
    found = {kind: distances(real, torch.cat([extractor(part)[0] for part in seen[kind].split(250)])) for kind in KINDS}
    record = {
        "command": "python experiments/bias.py …",
        "bias": found,
        "real": len(real),
        "extractor": extractor.sha256,
        "hardware": describe_hardware(torch.device("cpu")),
        "versions": versions(),
    }
    (HERE / "results" / "bias.json").write_text(json.dumps(record, indent=1) + "\n")
    (HERE / "results" / "bias.svg").write_text(draw(found) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
