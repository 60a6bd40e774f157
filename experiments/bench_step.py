"""Compares the training steps of two checkouts of gan_lab, or of one under different options, in turns.

    python experiments/bench_step.py ../before . --cases dcgan cyclegan
    python experiments/bench_step.py . . --other layout=contiguous --cases pixelcnn

A process for each side trains the same case on random images, and waits for the other after every few iterations, so
that both meet the same load. Medians of the processor time of an iteration (data, step, Lightning's work, and the
callbacks that every run has by default) are compared: on one thread it hardly depends on what else runs. ``--wall``
compares the elapsed time, for a machine that does nothing else. The peak is that of resident memory, at the end.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

IMAGES = ["data.channels=3", "data.size=64", "batch_size=64"]
MNIST = ["data=fake", "data.channels=1", "data.size=28"]
CASES: dict[str, list[str]] = {
    "dcgan": ["model=dcgan", "data=fake", *IMAGES],
    "gan": ["model=gan", *MNIST, "batch_size=64"],
    "wgan_gp_mlp": ["model=wgan_gp", "network=mlp", *MNIST, "batch_size=64"],
    "vae": ["model=vae", *MNIST, "batch_size=128"],
    "wgan_gp": ["model=wgan_gp", "data=fake", *IMAGES],
    "sngan": ["model=sngan", "data=fake", "data.channels=3", "data.size=32", "batch_size=64"],
    "r3gan": ["model=r3gan", "data=fake", "data.channels=3", "data.size=32", "batch_size=16"],
    "cyclegan": ["model=cyclegan", "data=fake_unpaired", "data.size=128"],
    "cyclegan_256": ["model=cyclegan", "data=fake_unpaired", "data.size=256"],
    "cut": ["model=cut", "data=fake_unpaired", "data.size=128"],
    "pix2pix": ["model=pix2pix", "data=fake_paired", "data.size=256"],
    "pixelcnn": ["model=pixelcnn", *MNIST, "batch_size=16"],
    "vqvae": ["model=vqvae", "data=fake", "data.channels=3", "data.size=32", "batch_size=64"],
}
"""Overrides of each case; further ones, after the name and a colon, come from the command line."""


class Side:
    """A process that trains a case in a checkout, a few iterations at a time."""

    def __init__(self, checkout: Path, overrides: Sequence[str], folder: str, iterations: int) -> None:
        path = {"PYTHONPATH": str(checkout.resolve()), "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
        command = [sys.executable, __file__, "--worker", folder, str(iterations), *overrides]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, env={**os.environ, **path}, cwd=folder, **pipes)

    def turn(self) -> dict[str, float]:
        """Lets it train, and returns the seconds of an iteration, ``cpu`` and ``wall``, and the ``peak`` in MiB."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("turn "):
                found: dict[str, float] = json.loads(line.removeprefix("turn "))
                return found
        raise SystemExit(f"A process ended with status {self.process.wait()}: see its output.")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def worker(folder: str, iterations: int, overrides: Sequence[str]) -> None:
    """Trains without end; waits for a line of input before every ``iterations`` iterations."""
    from lightning.pytorch import Callback

    from gan_lab.cli.config.checks import validate
    from gan_lab.cli.config.compose import compose, resolve
    from gan_lab.common.instantiate import instantiate
    from gan_lab.training.run_config import RunConfig
    from gan_lab.training.trainer import make_trainer

    class Turns(Callback):
        """Reports after every few iterations, and waits."""

        count, began = 0, (0.0, 0.0)

        def on_train_start(self, *_: Any) -> None:
            self.wait()

        def on_train_batch_end(self, *_: Any) -> None:
            self.count += 1
            if self.count % iterations:
                return
            cpu, wall = (now - then for now, then in zip(clocks(), self.began, strict=True))
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print("turn", json.dumps({"cpu": cpu / iterations, "wall": wall / iterations, "peak": peak}), flush=True)
            self.wait()

        def wait(self) -> None:
            if not sys.stdin.readline():
                sys.exit()
            self.began = clocks()

    # What measures quality has its own budget of time.
    without = [f"callbacks.{name}=null" for name in ("samples", "fidelity", "confusion", "checkpoint")]
    config = compose([*overrides, *without, "budget.images=100000000", "budget.epochs=null", f"run_dir={folder}"])
    validate(config)
    plain = resolve(config)
    trainer, _ = make_trainer(RunConfig.of(plain))
    trainer.callbacks.append(Turns())  # type: ignore[attr-defined]
    trainer.fit(instantiate(plain["model"]), datamodule=instantiate(plain["data"]))


def clocks() -> tuple[float, float]:
    """Returns the process's and the wall's seconds."""
    return time.process_time(), time.perf_counter()


def compared(sides: Sequence[tuple[Path, Sequence[str]]], iterations: int, turns: int) -> dict[str, Any]:
    """Returns milliseconds of an iteration, and the ratio of the first side's median to the second's."""
    with tempfile.TemporaryDirectory() as root:
        folders = [Path(root, str(i)) for i in range(2)]
        for folder in folders:
            folder.mkdir()
        both = [
            Side(checkout, overrides, str(folder), iterations)
            for (checkout, overrides), folder in zip(sides, folders, strict=True)
        ]
        try:
            for side in both:
                side.turn()  # warms up
            found = [[side.turn() for side in both] for _ in range(turns)]
        finally:
            for side in both:
                side.stop()
    return summary(found)


def summary(found: Sequence[Sequence[dict[str, float]]]) -> dict[str, Any]:
    def median(side: int, key: str) -> float:
        return statistics.median(turn[side][key] for turn in found)

    times = {key: [1000 * median(side, key) for side in range(2)] for key in ("cpu", "wall")}
    ratios = {f"{key}_ratio": round(first / second, 3) for key, (first, second) in times.items()}
    each = sorted(first["cpu"] / second["cpu"] for first, second in found)
    return {
        **{f"{key}_ms": [float(f"{value:.4g}") for value in values] for key, values in times.items()},
        **ratios,
        "cpu_ratio_quartiles": [round(each[len(each) // 4], 3), round(each[-1 - len(each) // 4], 3)],
        "peak_mib": [round(median(side, "peak")) for side in range(2)],
    }


def main() -> None:
    if sys.argv[1:2] == ["--worker"]:
        worker(sys.argv[2], int(sys.argv[3]), sys.argv[4:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, help="a checkout")
    parser.add_argument("after", type=Path, help="another, or the same")
    parser.add_argument("--cases", nargs="+", default=list(CASES), help=f"default: all of {', '.join(CASES)}")
    parser.add_argument("--one", nargs="*", default=[], help="overrides of the first side")
    parser.add_argument("--other", nargs="*", default=[], help="overrides of the second side")
    parser.add_argument("--both", nargs="*", default=["trainer=cpu", "logger=none"], help="overrides of both sides")
    parser.add_argument("--iterations", type=int, default=1, help="iterations of a turn (default 1)")
    parser.add_argument("--turns", type=int, default=9, help="turns of each side (default 9)")
    parser.add_argument("--output", type=Path, help="also write the result as JSON")
    arguments = parser.parse_args()
    report = {}
    for name in arguments.cases:
        own = [*CASES[name], *arguments.both]
        sides = [(arguments.before, [*own, *arguments.one]), (arguments.after, [*own, *arguments.other])]
        report[name] = compared(sides, arguments.iterations, arguments.turns)
        print(name, json.dumps(report[name]), flush=True)
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
