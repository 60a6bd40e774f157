"""Judges metrics by training runs of known order: ``python experiments/order.py DATA`` writes results/order.json.

- **Faces** (Caltech 101, 64 px). A model after one, five, twelve and thirty minutes, one trained on eight pictures,
  which repeats them, and one whose discriminator does not learn, so that it collapses. ``ORDER`` has the pairs of
  which nobody would prefer the second.
- **Garbled translations** (two pairs of CIFAR-10's classes): twenty pictures a side, transposed convolutions and one
  minute. They must not be judged better than the untranslated pictures that they spoil.

DATA has the folders ``caltech101-subset`` and ``cifar10-images``. A run that has its record in RUNS is not repeated.
The distance of each extractor is compared; ``best`` is the value by which ``best.ckpt`` was chosen.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import torch
from PIL import Image

from gan_lab.common.atomic import atomic_write
from gan_lab.common.device import describe_hardware

RESULTS = Path(__file__).parent / "results"
EXTRACTORS = ("general", "grey", "colour")
FACES: dict[str, tuple[str, ...]] = {
    "1 minute": ("budget.minutes=1",),
    "5 minutes": ("budget.minutes=5",),
    "12 minutes": ("budget.minutes=12",),
    "30 minutes": ("budget.minutes=30",),
    "eight pictures": ("budget.minutes=12", "data.limit=8"),
    "collapsed": ("budget.minutes=3", "model.d_optimizer.lr=1e-8"),
}
ORDER = [
    ("30 minutes", "12 minutes"),
    ("12 minutes", "5 minutes"),
    ("5 minutes", "1 minute"),
    ("30 minutes", "eight pictures"),
    ("30 minutes", "collapsed"),
    ("12 minutes", "collapsed"),
    ("5 minutes", "collapsed"),
    ("eight pictures", "collapsed"),
]
PAIRS = (("horse", "deer"), ("cat", "dog"))


GARBLED = (
    *("model=cyclegan", "data=unpaired", "data.size=32", "data.load_size=36", "data.limit=20", "budget.minutes=1"),
    *("generator.upsample=transposed", "model.cycle=1", "model.identity=0"),
)
KEPT = ("fd_", "mind_", "fdr_")


def command(name: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", f"gan_lab.{name}", *arguments], check=True)


def run(folder: Path, *arguments: str) -> None:
    """Trains, unless it was done before."""
    if not (folder / "record.json").is_file():
        command(
            "train", *arguments, "scale=laptop", "metrics=none", f"run_dir={folder}", f"record={folder}/record.json"
        )


def measure(checkpoint: Path, *arguments: str) -> dict[str, float]:
    """Evaluates a checkpoint in the features of all extractors."""
    output = checkpoint.with_suffix(".evaluation.json")
    given = (f"checkpoint={checkpoint}", f"output={output}", "page=false", f"extractor=[{','.join(EXTRACTORS)}]")
    command("evaluate", *given, "metrics=[distance,mind,ratio]", *arguments)
    values: dict[str, float] = json.loads(output.read_text())["figures"]
    return {name: value for name, value in values.items() if name.startswith(KEPT)}


def faces(data: Path, runs: Path, names: list[str]) -> dict[str, dict[str, Any]]:
    """Trains on faces; returns the metrics of the last and of the best checkpoint by run."""
    root = data / "caltech101-subset" / "Faces_easy"
    found = {}
    for name in names:
        folder = runs / name.replace(" ", "-")
        run(folder, "model=dcgan", "data=folder", f"data.root={root}", "data.size=64", *FACES[name])
        record = json.loads((folder / "record.json").read_text())
        found[name] = {"images": record["counters"]["images_seen"], "seconds": record["counters"]["seconds"]}
        for which in ("last", "best"):
            if (folder / f"{which}.ckpt").is_file():
                found[name][which] = measure(folder / f"{which}.ckpt", "n=400", "split=whole")
    return found


def translations(data: Path, runs: Path) -> dict[str, dict[str, float]]:
    """Trains garbled translators; returns the metrics of both directions by pair."""
    found = {}
    for a, b in PAIRS:
        for split in ("train", "test"):
            with ZipFile(data / "cifar10-images" / f"{split}.zip") as archive:
                wanted = [each for each in archive.namelist() if f"/{a}/" in each or f"/{b}/" in each]
                archive.extractall(runs / "classes", wanted)
        folder, classes = runs / f"{a}2{b}", runs / "classes"
        sides = (f"data.a=train/{a}", f"data.b=train/{b}", f"data.test_a=test/{a}", f"data.test_b=test/{b}")
        run(folder, *GARBLED, f"data.root={classes}", *sides)
        found[f"{a} and {b}"] = measure(folder / "last.ckpt")
    return found


def picture(runs: Path, names: list[str]) -> Image.Image:
    """Returns the first row of each run's last grid, below each other."""
    grids = [Image.open(runs / name.replace(" ", "-") / "samples.png").convert("RGB") for name in names]
    height = grids[0].height // 8
    rows = Image.new("RGB", (grids[0].width, height * len(grids)), "white")
    for number, each in enumerate(grids):
        rows.paste(each.crop((0, 0, each.width, height)), (0, number * height))
    return rows


def judged(found: dict[str, dict[str, Any]], which: str) -> dict[str, list[str]]:
    """Returns the pairs that each metric orders wrongly."""
    present = {name: each[which] for name, each in found.items() if which in each}
    pairs = [pair for pair in ORDER if present.keys() >= set(pair)]
    metrics = [f"{kind}_{name}" for name in EXTRACTORS for kind in ("fd", "mind")]
    return {
        metric: [f"{better} < {worse}" for better, worse in pairs if present[better][metric] >= present[worse][metric]]
        for metric in metrics
    }


def praised(found: dict[str, dict[str, float]]) -> dict[str, list[str]]:
    """Returns the garbled translations that each metric judges better than the untranslated pictures."""
    metrics = [f"{kind}_{name}" for name in EXTRACTORS for kind in ("fd", "mind")]
    ways = [(pair, way) for pair in found for way in ("a2b", "b2a")]
    return {
        metric: [
            f"{pair}, {way}"
            for pair, way in ways
            if found[pair][f"{metric}_{way}"] < found[pair][f"{metric}_{way}_untranslated"]
        ]
        for metric in metrics
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--runs", type=Path, default=Path("runs/order"))
    parser.add_argument("--only", nargs="+", choices=FACES, default=list(FACES))
    args = parser.parse_args()
    runs, data = args.runs.absolute(), args.data.absolute()
    found, garbled = faces(data, runs, args.only), translations(data, runs)
    result = {
        "faces": found,
        "wrong": {which: judged(found, which) for which in ("last", "best")},
        "garbled": garbled,
        "praised": praised(garbled),
        "pairs": len(ORDER),
        "hardware": describe_hardware(torch.device("cpu")),
    }
    with atomic_write(RESULTS / "order.png") as temporary:
        picture(runs, args.only).save(temporary, "PNG")
    with atomic_write(RESULTS / "order.json") as temporary:
        temporary.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
