"""Measures how the cost of data grows: with the number of images, with their side, and with the batch.

    python experiments/growth.py

Writes results/growth.json and results/growth.svg. Each measurement runs in a process of its own, on one thread:

- **first**: seconds until the first batch when nothing is cached: files are listed, hashed, decoded and written.
- **later**: the same when all is cached.
- **epoch**: seconds of a pass over all batches of 64. **image_folder**: of one over torchvision's ImageFolder.
- **peak**: of resident memory without that of mapped files, in MiB; **start** is what importing takes.

A number of images is made of links to a thousand different JPEGs, so their bytes are in memory: a disk adds its time.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

HERE = Path(__file__).parent
COUNTS, SIDES, BATCHES = (1_000, 10_000, 100_000), (64, 128, 256), (16, 64, 256)
DISTINCT = 1000
INKS = {"first": "#d1495b", "later": "#2a78c2", "epoch": "#2e8b57"}


def draw_images(folder: Path, count: int, side: int) -> None:
    """Writes JPEGs into ten folders; from the thousandth on they are links to earlier ones."""
    noise = np.random.default_rng(0)
    for number in range(10):
        (folder / f"{number}").mkdir(parents=True)
    for number in range(count):
        path, first = folder / f"{number % 10}" / f"{number:07d}.jpg", number % DISTINCT
        if number >= DISTINCT:
            path.hardlink_to(folder / f"{first % 10}" / f"{first:07d}.jpg")
            continue
        small = Image.fromarray(noise.integers(0, 256, (16, 16, 3), dtype=np.uint8))
        small.resize((side, side), Image.Resampling.BICUBIC).save(path, quality=90)


def worker(root: str, cache: str, side: int, batch: int) -> dict[str, float]:
    """Returns what a start and an epoch take."""
    from gan_lab.cli.config.compose import compose, resolve
    from gan_lab.common.instantiate import instantiate

    torch.set_num_threads(1)
    before, began = peak(), time.perf_counter()
    data: Any = instantiate(resolve(compose([
        "model=dcgan", "data=folder", f"data.root={root}", f"data.size={side}", f"data.cache_dir={cache}",
        f"batch_size={batch}",
    ]))["data"])  # fmt: skip
    data.prepare_data()
    data.setup("fit")
    loader = data.train_dataloader()
    next(iter(loader))
    start = time.perf_counter() - began
    began = time.perf_counter()
    for _ in islice(loader, loader.per_epoch):
        pass
    return {"seconds": start, "epoch": time.perf_counter() - began, "start": before, "peak": peak()}


def peak() -> float:
    """Returns the peak of the memory that is the process's own, in MiB, as far as the system tells it apart."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return (int(status["VmHWM"].split()[0]) - int(status["RssFile"].split()[0])) / 1024


def image_folder(root: str, side: int) -> float:
    """Returns the seconds of an epoch over ImageFolder."""
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import v2

    torch.set_num_threads(1)
    change = v2.Compose([v2.ToImage(), v2.Resize(side), v2.CenterCrop(side), v2.ToDtype(torch.float32, scale=True)])
    began = time.perf_counter()
    for _ in DataLoader(ImageFolder(root, change), 64, shuffle=True, drop_last=True):
        pass
    return time.perf_counter() - began


def measured(count: int, side: int = 64, batch: int = 64, compared: bool = False) -> dict[str, float]:
    """Returns the costs of a number of images."""
    with tempfile.TemporaryDirectory() as place:
        draw_images(Path(place) / "images", count, side)
        command = [sys.executable, __file__, "--worker", f"{place}/images", f"{place}/cache", str(side), str(batch)]
        first, later = (run(command) for _ in range(2))
        cached = sum(path.stat().st_size for path in Path(place, "cache").rglob("*") if path.is_file())
        found = {"images": count, "side": side, "batch": batch, "first": first["seconds"], "later": later["seconds"]}
        found |= {"epoch": later["epoch"], "peak_first": first["peak"], "peak_later": later["peak"]}
        found |= {"start": later["start"], "cache_mib": cached / 2**20}
        if compared:
            found["image_folder"] = run([*command[:2], "--image-folder", f"{place}/images", str(side)])["epoch"]
    return {key: float(f"{value:.4g}") for key, value in found.items()}


def run(command: list[str]) -> dict[str, float]:
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    output = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    found: dict[str, float] = json.loads(output.stdout.rsplit("found ", 1)[1])
    return found


def draw(rows: list[dict[str, float]]) -> str:
    """Returns an SVG of seconds over the number of images, both logarithmic."""
    from gan_lab.evaluation.reports.charts import Axes

    values = [row[key] for row in rows for key in INKS]
    axes = Axes((3, 5), (min(values) / 1.5, 1.5 * max(values)), "images", "seconds", log=True)
    marks = []
    for key, ink in INKS.items():
        points = [axes.to_pixels(float(np.log10(row["images"])), row[key]) for row in rows]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        marks.append(f'<polyline fill="none" stroke="{ink}" stroke-width="1.5" points="{line}"/>')
        marks += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{ink}"/>' for x, y in points]
        x, y = points[-1]
        marks.append(f'<text x="{x - 8:.1f}" y="{y - 8:.1f}" text-anchor="end" fill="{ink}">{key}</text>')
    svg = axes.svg("Seconds over the number of images", "".join(marks), x_ticks=[])
    alone = 'xmlns="http://www.w3.org/2000/svg" width="560" height="260" font-family="sans-serif" font-size="11"'
    return svg.replace("<svg ", f'<svg {alone} fill="#777" ', 1).replace('class="grid"', 'stroke="#bbb"')


def main() -> None:
    if sys.argv[1:2] == ["--worker"]:
        root, cache, side, batch = sys.argv[2:]
        print("found", json.dumps(worker(root, cache, int(side), int(batch))))
        return
    if sys.argv[1:2] == ["--image-folder"]:
        print("found", json.dumps({"epoch": image_folder(sys.argv[2], int(sys.argv[3]))}))
        return
    from gan_lab.common.device import describe_hardware, versions

    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    report: dict[str, Any] = {
        "growth": {
            "images": [measured(count, compared=count == COUNTS[0]) for count in COUNTS],
            "side": [measured(COUNTS[0], side, compared=True) for side in SIDES],
            "batch": [measured(COUNTS[1], batch=batch) for batch in BATCHES],
        },
        "hardware": describe_hardware(torch.device("cpu")), "versions": versions(), "date": date.today().isoformat(),
    }  # fmt: skip
    print(json.dumps(report, indent=1))
    (HERE / "results" / "growth.json").write_text(json.dumps(report, indent=1) + "\n")
    (HERE / "results" / "growth.svg").write_text(draw(report["growth"]["images"]) + "\n")


if __name__ == "__main__":
    main()
