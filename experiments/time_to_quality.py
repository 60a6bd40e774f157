"""Measures how soon samples are good: gan_lab beside PyTorch-GAN's scripts, as they are, by one network's judgement.

    python experiments/time_to_quality.py PEERS DATA --output experiments/results/time_to_quality.json

PEERS has the checkout PyTorch-GAN, DATA the folders mnist and fashion-mnist. Each program trains in a process of one
thread. After some minutes of its processor time, which sampling is not part of, 5,000 samples are drawn: from the
scripts' generators as their own grids are, in training mode, from gan_lab's averaged one. They are compared with the
10,000 test images by ``fd_grey``, and on MNIST by the share that our classifier of digits is confident in. The goal is
reached at the first of these times at which it is met.
"""

import argparse
import gzip
import json
import os
import runpy
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from race_rows import PYTORCH_GAN
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_post_hook
from train_extractor import read_idx

MINUTES = (0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8, 11, 15, 20)
SAMPLES, BATCH = 5000, 64
SCRIPTS = ("wgan_gp", "dcgan")
SETS = {"Fashion-MNIST": "fashion-mnist/FashionMNIST", "MNIST": "mnist/MNIST"}
"""Folders, below DATA, of the files in MNIST's format."""
OURS = {
    "FashionMNIST": ["recipe=fashion_minutes"],
    "MNIST": ["recipe=digits", "data=mnist", "data.size=28"],  # by class: the settings of the demo
}
"""The settings of gan_lab, by the folder's name."""
GOALS = {"Fashion-MNIST": ("fd_grey", 3.0), "MNIST": ("confident", 0.8)}


class Snapshots:
    """Writes samples when a process has worked for some minutes; the time that this takes is not counted.

    Args:
        folder: gets a file for each time, named by seconds.
        samples: returns a number of images, float32 (n, 1, H, W) in [-1, 1].
        until: the last of ``MINUTES`` to wait for.
    """

    def __init__(self, folder: Path, samples: Callable[[int], Tensor], until: float) -> None:
        self.folder, self.samples, self.paused = folder, samples, time.process_time()
        self.times = [60 * minutes for minutes in MINUTES if minutes <= until]

    def look(self) -> None:
        now = time.process_time()
        if now - self.paused < self.times[0]:
            return
        images = torch.cat([self.samples(BATCH) for _ in range(-(-SAMPLES // BATCH))])[:SAMPLES]
        pixels = ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).numpy()
        np.savez(self.folder / f"{self.times.pop(0):.0f}.npz", pixels)
        self.paused += time.process_time() - now
        if not self.times:
            os._exit(0)


def run_script(script: str, folder: Path, until: float) -> None:
    """Runs a script as it is; looks at its ``generator`` when its first optimizer has stepped."""
    found: dict[str, Any] = {}

    def variables() -> dict[str, Any]:
        frame = sys._getframe()
        while "generator" not in frame.f_globals:
            assert frame.f_back is not None
            frame = frame.f_back
        return frame.f_globals

    def samples(n: int) -> Tensor:
        scope = variables()
        with torch.no_grad():
            images: Tensor = scope["generator"](torch.randn(n, scope["opt"].latent_dim))
        return images

    def hook(optimizer: object, *_: Any) -> None:
        if found.setdefault("first", optimizer) is optimizer:
            if "snapshots" not in found:
                found["snapshots"] = Snapshots(folder, samples, until)
            state = torch.get_rng_state()
            found["snapshots"].look()
            torch.set_rng_state(state)

    register_optimizer_step_post_hook(hook)
    sys.argv = [script]
    runpy.run_path(script, run_name="__main__")


def run_ours(overrides: list[str], folder: Path, until: float) -> None:
    """Trains as the command does."""
    from lightning.pytorch import Callback

    from gan_lab.cli.config.checks import validate
    from gan_lab.cli.config.compose import compose, resolve
    from gan_lab.common.instantiate import instantiate
    from gan_lab.training.run_config import RunConfig
    from gan_lab.training.trainer import make_trainer

    class Look(Callback):
        drawn = 0

        def on_train_start(self, trainer: Any, module: Any) -> None:
            def samples(n: int) -> Tensor:
                self.drawn += n
                images: Tensor = module.sample(n, seed=1, start=self.drawn)
                return images.cpu()

            self.snapshots = Snapshots(folder, samples, until)

        def on_train_batch_end(self, *_: Any) -> None:
            self.snapshots.look()

    config = compose([*overrides, "trainer=cpu", "logger=none", "callbacks.fidelity=null", f"run_dir={folder}"])
    validate(config)
    plain = resolve(config)
    trainer, _ = make_trainer(RunConfig.of(plain))
    trainer.callbacks.append(Look())  # type: ignore[attr-defined]
    trainer.fit(instantiate(plain["model"]), datamodule=instantiate(plain["data"]))


def trained(name: str, data: Path, peers: Path, python: str, until: float, folder: Path) -> None:
    """Trains one of the programs in a process of its own, which writes samples into ``folder``."""
    place = folder / "code" / "implementation"
    place.mkdir(parents=True)
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    if name == "ours":
        what = [*OURS[data.name], f"data.root={data}", "budget.minutes=100000"]
        interpreter = sys.executable
    else:
        raw = folder / "data" / "mnist" / "MNIST" / "raw"
        raw.mkdir(parents=True)
        for file in (data / "raw").glob("*.gz"):
            (raw / file.stem).write_bytes(gzip.decompress(file.read_bytes()))
        what, interpreter = [str(peers / PYTORCH_GAN / name / f"{name}.py")], python
    command = [interpreter, __file__, "--worker", str(folder), str(until), *what]
    with (folder / "log").open("w") as log:
        subprocess.run(command, cwd=place, env=env, stdout=log, stderr=log, check=True)


def judged(folder: Path, real: Tensor, digits: bool) -> dict[str, dict[str, float]]:
    """Returns the metrics of the samples, by minutes."""
    from ladder import Images

    from gan_lab.evaluation.features.extractors import Grey
    from gan_lab.evaluation.metrics.classifier_confidence import Confidence
    from gan_lab.evaluation.metrics.frechet import FrechetDistance
    from gan_lab.evaluation.suite import Suite

    extractor = Grey()
    metrics: dict[str, Any] = {"distance": FrechetDistance}
    if digits:
        metrics["confidence"] = partial(Confidence, class_logits=extractor.class_logits["mnist"])
    suite = Suite(metrics, [extractor], Images(real), progress=False)
    found: dict[str, dict[str, float]] = {}
    for file in sorted(folder.glob("*.npz"), key=lambda path: float(path.stem)):
        images = torch.from_numpy(np.load(file)["arr_0"])
        values = suite.evaluate(Images(images))[0]
        found[f"{float(file.stem) / 60:g}"] = {
            key: round(values[key], 4) for key in ("fd_grey", "confident") if key in values
        }
    return found


def reached(found: dict[str, dict[str, float]], metric: str, goal: float) -> float | None:
    """Returns the first of the minutes at which a goal is met; None if it is never."""
    for minutes, values in found.items():
        if values[metric] <= goal if metric == "fd_grey" else values[metric] >= goal:
            return float(minutes)
    return None


def main() -> None:
    if sys.argv[1:2] == ["--worker"]:
        folder, until, *what = sys.argv[2:]
        run = run_script if what[0].endswith(".py") else run_ours
        run(what[0] if what[0].endswith(".py") else what, Path(folder), float(until))  # type: ignore[arg-type]
        return
    from gan_lab.common.device import describe_hardware, versions

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peers", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--programs", nargs="+", default=["ours", *SCRIPTS])
    parser.add_argument("--python", default=sys.executable, help="runs the scripts (default: this Python)")
    parser.add_argument("--minutes", type=float, default=MINUTES[-1], help="the longest training")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    old = json.loads(arguments.output.read_text()) if arguments.output and arguments.output.exists() else {}
    report: dict[str, Any] = {"time_to_quality": old.get("time_to_quality", {})}
    report |= {"hardware": describe_hardware(torch.device("cpu")), "threads": 1, "versions": versions()}
    report["date"] = date.today().isoformat()
    for name in arguments.sets:
        data = (arguments.data / SETS[name]).resolve()
        real = read_idx(data.parent, "t10k")[0]
        rows = report["time_to_quality"].setdefault(name, {})
        for program in arguments.programs:
            with tempfile.TemporaryDirectory() as place:
                trained(program, data, arguments.peers.resolve(), arguments.python, arguments.minutes, Path(place))
                found = judged(Path(place), real, name == "MNIST")
            metric, goal = GOALS[name]
            rows[program] = {"minutes_to_goal": reached(found, metric, goal), "goal": {metric: goal}, "found": found}
            print(name, program, json.dumps(rows[program]), flush=True)
            if arguments.output:
                arguments.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
