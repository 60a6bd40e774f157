"""Compares commands with bare loops of torch and PIL, by processor time, memory and wall time of whole processes.

- `sample`: 1,000 images of a DCGAN at 64 px, each a PNG. The bare loop samples the same network in batches of 64.
- `translate`: a folder of 256 px JPEGs by CycleGAN's generator. The bare loop reads, translates and writes one by one.

Networks are untrained: that changes sizes of files, but not the work of a network. Runs alternate, and medians are
compared. Give the precisions to compare; on a machine that does other things trust the processor times alone.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from gan_lab.common.device import describe_hardware

BARE = """
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

def up(i, o):
    return [nn.ConvTranspose2d(i, o, 4, 2, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU(True)]

def block(n):
    pad, conv = lambda: nn.ReflectionPad2d(1), lambda: nn.Conv2d(n, n, 3)
    return nn.Sequential(pad(), conv(), nn.InstanceNorm2d(n), nn.ReLU(True), pad(), conv(), nn.InstanceNorm2d(n))

class Residual(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.block = block(n)

    def forward(self, x):
        return x + self.block(x)

def save(x, path):
    x = ((x + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()
    Image.fromarray(x).save(path)

torch.set_grad_enabled(False)
what, source, output = sys.argv[1:]
Path(output).mkdir()
if what == "sample":
    first = [nn.ConvTranspose2d(100, 512, 4, 1, 0, bias=False), nn.BatchNorm2d(512), nn.ReLU(True)]
    last = [nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False), nn.Tanh()]
    network = nn.Sequential(*first, *up(512, 256), *up(256, 128), *up(128, 64), *last).eval()
    for start in range(0, 1000, 64):
        for number, x in enumerate(network(torch.randn(min(64, 1000 - start), 100, 1, 1)), start):
            save(x, f"{output}/{number:06d}.png")
else:
    norm = lambda n: [nn.InstanceNorm2d(n), nn.ReLU(True)]
    down = lambda i: [nn.Conv2d(i, 2 * i, 3, 2, 1), *norm(2 * i)]
    grow = lambda i: [nn.ConvTranspose2d(i, i // 2, 3, 2, 1, 1), *norm(i // 2)]
    ends = [nn.ReflectionPad2d(3), nn.Conv2d(3, 64, 7), *norm(64)], [nn.ReflectionPad2d(3), nn.Conv2d(64, 3, 7)]
    blocks = [Residual(256) for _ in range(9)]
    network = nn.Sequential(*ends[0], *down(64), *down(128), *blocks, *grow(256), *grow(128), *ends[1], nn.Tanh())
    for path in sorted(Path(source).iterdir()):
        x = torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1)[None] / 127.5 - 1
        save(network(x)[0], f"{output}/{path.stem}.png")
"""
TRAIN = ["trainer=cpu", "logger=none", "callbacks.fidelity=null", "callbacks.samples=null", "budget.epochs=null"]
MODELS = {
    "sample": ["model=dcgan", "data=fake", "data.channels=3", "data.size=64", "budget.images=64"],
    "translate": ["model=cyclegan", "data=fake_unpaired", "data.size=256", "budget.images=1"],
}


def measured(command: list[str]) -> dict[str, float]:
    """Runs a process; returns its processor and wall seconds, and its peak memory in MiB."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    if status:
        raise SystemExit(f"{command} failed.")
    memory = usage.ru_maxrss / (1 if sys.platform == "darwin" else 1024)
    return {"processor": usage.ru_utime + usage.ru_stime, "wall": wall, "peak_mib": memory}


def race(ways: dict[str, Callable[[Path], list[str]]], repeats: int, folder: Path) -> dict[str, dict[str, float]]:
    """Returns the medians of processes that alternate."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    for turn in range(repeats):
        for name, command in ways.items():
            found[name].append(measured(command(folder / f"{name}{turn}")))
    return {
        name: {key: round(statistics.median(run[key] for run in runs), 2) for key in runs[0]}
        for name, runs in found.items()
    }


def compared(what: str, images: int, precisions: list[str], repeats: int) -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        train = [sys.executable, "-m", "gan_lab.train", *MODELS[what], *TRAIN, f"run_dir={folder / 'run'}"]
        subprocess.run(train, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        draw_photos(folder / "photos", images)
        (folder / "bare.py").write_text(BARE)
        keys = [f"checkpoint={folder / 'run' / 'last.ckpt'}", "device=cpu"]
        keys += ["n=1000", "single=true", "grid=false"] if what == "sample" else [f"input={folder / 'photos'}"]

        def ours(precision: str) -> Callable[[Path], list[str]]:
            command = [sys.executable, "-m", f"gan_lab.{what}", *keys, f"precision={precision}"]
            return lambda output: [*command, f"output={output}"]

        bare = [sys.executable, str(folder / "bare.py"), what, str(folder / "photos")]
        ways = {"bare": lambda output: [*bare, str(output)]} | {each: ours(each) for each in precisions}
        return race(ways, repeats, folder)


def draw_photos(folder: Path, count: int, seed: int = 0, side: int = 256) -> None:
    folder.mkdir()
    noise = np.random.default_rng(seed)
    for number in range(count):
        small = Image.fromarray(noise.integers(0, 256, (16, 16, 3), dtype=np.uint8))
        small.resize((side, side), Image.Resampling.BICUBIC).save(folder / f"{number:05d}.jpg", quality=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", default=["sample", "translate"], help="default: both")
    parser.add_argument("--images", type=int, default=40, help="images to translate (default 40)")
    parser.add_argument("--precisions", nargs="*", default=["fp32", "bf16"])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--output", type=Path, help="also write the result as JSON")
    arguments = parser.parse_args()
    load = round(os.getloadavg()[0], 1)
    report: dict[str, object] = {"hardware": describe_hardware(torch.device("cpu")), "load": load}
    for what in arguments.what:
        report[what] = compared(what, arguments.images, arguments.precisions, arguments.repeats)
    print(json.dumps(report, indent=1))
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
