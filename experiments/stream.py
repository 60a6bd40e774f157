"""Measures what images in shards cost: start-up, memory and speed by their number, against a folder in the cache.

    python experiments/stream.py

Writes results/stream.json. Images of 64 px are crops of the two photographs that come with scikit-learn, with noise.
Each measurement runs in a process of its own, on one thread; seconds are those that the processor worked for the
process, so that other work on the machine does not count.

- **start**: until the first batch; importing is left out.
- **peak**: of resident memory without that of mapped files, in MiB.
- **epoch**: images a second of a pass over all batches of 64, without a model; **training**: with a small DCGAN.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date
from itertools import chain, islice
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np
import torch
from growth import peak
from lightning.pytorch import Callback
from PIL import Image

HERE = Path(__file__).parent
COUNTS, SIDE, BATCH = (1_000, 10_000, 100_000), 64, 64
FOLDER = 10_000
"""Images in the folder that shards are compared with."""
WARM, TIMED = 20, 100
"""Iterations of training before and while it is timed."""
KINDS = {"shards": ("litdata", "pixels"), "shards, png": ("litdata", "png"), "webdataset": ("webdataset", "pixels")}


def crops(count: int) -> Iterator[np.ndarray]:
    """Yields crops of real photographs with one of 64 fields of noise, uint8 (3, 64, 64)."""
    from sklearn.datasets import load_sample_images

    random = np.random.default_rng(0)
    photographs = [each.transpose(2, 0, 1).astype(np.int16) for each in load_sample_images().images]
    noise = random.normal(0, 4, (64, 3, SIDE, SIDE)).astype(np.int16)
    for number in range(count):
        photograph = photographs[number % 2]
        top, left = (int(random.integers(0, side - SIDE + 1)) for side in photograph.shape[1:])
        crop = photograph[:, top : top + SIDE, left : left + SIDE] + noise[random.integers(64)]
        yield crop.clip(0, 255).astype(np.uint8)


def write_folder(folder: Path, count: int) -> None:
    """Writes the images as JPEGs."""
    folder.mkdir()
    for number, pixels in enumerate(crops(count)):
        Image.fromarray(pixels.transpose(1, 2, 0)).save(folder / f"{number:07d}.jpg", quality=90)


class Clock(Callback):
    """Notes the time when the timed iterations begin and end."""

    def __init__(self) -> None:
        self.times: dict[int, float] = {}

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        self.times[pl_module.iteration] = time.process_time()


def worker(choice: str, root: str, cache: str, train: bool) -> dict[str, float]:
    """Returns what a start and an epoch take, and perhaps training."""
    from gan_lab.cli.config.compose import compose, resolve
    from gan_lab.common.instantiate import instantiate
    from gan_lab.training.run_config import RunConfig
    from gan_lab.training.trainer import make_trainer

    torch.set_num_threads(1)
    network = ["model.generator.base=8", "model.discriminator.base=8"]
    config: dict[str, Any] = resolve(compose([
        "model=dcgan", f"data={choice}", f"data.root={root}", f"data.size={SIDE}", f"data.cache_dir={cache}",
        f"batch_size={BATCH}", "trainer=cpu", "precision=32-true", "logger=none", "callbacks=none", *network,
        f"budget.images={BATCH * (WARM + TIMED)}", "budget.epochs=null", "budget.minutes=null", "runs=/nowhere",
    ]))  # fmt: skip
    before, began = peak(), time.process_time()
    data = instantiate(config["data"])
    data.prepare_data()
    data.setup("fit")
    loader = data.train_dataloader()
    next(iter(loader))
    start, rates = time.process_time() - began, []
    for _ in range(3 if loader.per_epoch < 200 else 2):
        began = time.process_time()
        for _ in islice(loader, loader.per_epoch):
            pass
        rates.append(BATCH * loader.per_epoch / (time.process_time() - began))
    found = {"start": start, "epoch": max(rates), "imported": before, "peak": peak()}
    if train:
        clock, (trainer, _) = Clock(), make_trainer(RunConfig.of(config))
        trainer.callbacks.append(clock)  # type: ignore[attr-defined]
        trainer.fit(instantiate(config["model"]), datamodule=data)
        found["training"] = BATCH * TIMED / (clock.times[WARM + TIMED] - clock.times[WARM])
    return found


def run(*arguments: str) -> dict[str, float]:
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, __file__, "--worker", *arguments]
    output = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    found: dict[str, float] = json.loads(output.stdout.rsplit("found ", 1)[1])
    return found


def measured(place: Path, count: int) -> Iterator[dict[str, object]]:
    """Yields the costs of a number of images in shards: in each kind, as many as the folder has."""
    from gan_lab.data.shards.writing import write_shards

    for name, (kind, encoding) in KINDS.items():
        if count != FOLDER and name != "shards":
            continue
        root, began = place / f"{count}-{kind}-{encoding}", time.process_time()
        write_shards(root, {"all": ((pixels, None) for pixels in crops(count))}, kind, encoding)
        packing = count / (time.process_time() - began)
        size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
        train = "train" if count == FOLDER else ""
        found = {"packing": packing, "mib": size / 2**20, **run("stream", str(root), str(place / "cache"), train)}
        yield {"kind": name, "images": count, **rounded(found)}
        rmtree(root)


def folder(place: Path) -> Iterator[dict[str, object]]:
    """Yields the costs of a folder when nothing is cached, where the start has the first reading, and when all is."""
    write_folder(place / "images", FOLDER)
    arguments = "folder", str(place / "images"), str(place / "cache")
    first, later = run(*arguments, ""), run(*arguments, "train")
    first["epoch"] = 0.9 * FOLDER / (first["start"] + 0.9 * FOLDER / first["epoch"])
    yield {"kind": "folder, first epoch", "images": FOLDER, **rounded(first)}
    yield {"kind": "folder, cached", "images": FOLDER, **rounded(later)}


def rounded(found: dict[str, float]) -> dict[str, float]:
    return {key: float(f"{value:.4g}") for key, value in found.items()}


def main() -> None:
    from gan_lab.common.device import describe_hardware, versions

    facts = {"hardware": describe_hardware(torch.device("cpu")), "versions": versions()}
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as place:
        costs = (measured(Path(place), count) for count in COUNTS)
        for row in chain(folder(Path(place)), *costs):
            rows.append(row)
            report = {"stream": rows, **facts, "date": date.today().isoformat()}
            (HERE / "results" / "stream.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worker", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        choice, root, cache, train = arguments.worker
        print("found", json.dumps(worker(choice, root, cache, bool(train))))
    else:
        main()
