"""Compares gan_lab with the scripts that people would run instead, as they are (`make race PEERS=folder`).

The folder has checkouts by their own names: examples, PyTorch-GAN, pytorch-CycleGAN-and-pix2pix, OpenSTL. What they
import must be installed for ``--python``. Both train on the same drawn data, on one thread of one core: the peer as
published, gan_lab with its defaults, and gan_lab in float32 if its default is another precision.

The programs take turns of a few seconds: all processes of the others are stopped meanwhile, so that all meet the same
load. ``race_marks`` notes when steps end, and changes nothing else. An iteration counts if it lies within a turn.
Images per second are medians of iterations. The first step is timed from the start of the process; peaks are those of
resident memory, of the main process. The limit is what the operations and bytes of a step take at this core's peaks
(race_limit.py). A later call with ``--output`` adds its rows to the file's.
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import date
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import torch
from benches import race_table
from race_rows import ROWS, Row

from gan_lab.common.device import auto_precision, describe_hardware, versions

MARKS, LIMIT = (Path(__file__).with_name(name) for name in ("race_marks", "race_limit.py"))
ROOT = MARKS.parents[1]
WARM_UP = 3
"""Iterations before the first turn."""
EVERY = [
    "trainer=cpu", "logger=none", "callbacks.fidelity=null", "scale=paper", "budget.images=100000000",
    "budget.epochs=null",
]  # fmt: skip
"""Overrides of every run of gan_lab. Peers measure no quality either; both write grids of images."""
PER_TURN = 3.5
"""A turn takes at least as long as this many iterations."""


class Side:
    """A program that trains, with all its processes.

    Args:
        command: its command line.
        place: the folder it starts in, also for its output.
        env: its environment.
    """

    def __init__(self, command: Sequence[str], place: Path, env: Mapping[str, str], core: int | None) -> None:
        place.mkdir(parents=True, exist_ok=True)
        self.file, self.log = place / "marks", place / "log"
        self.file.unlink(missing_ok=True)
        pinned = [] if core is None else ["taskset", "-c", str(core)]
        self.began = time.monotonic()
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*pinned, *command], cwd=place, env={**env, "MARKS": str(self.file)}, stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def marks(self) -> list[float]:
        """Returns the times of all steps so far."""
        content = self.file.read_bytes() if self.file.exists() else b""
        return [mark for (mark,) in struct.iter_unpack("d", content[: len(content) // 8 * 8])]

    def wait_for(self, count: int) -> None:
        """Waits until it has made this many steps.

        Raises:
            SystemExit: if it ends before; the message has the end of its output.
        """
        while len(self.marks()) < count:
            if self.process.poll() is not None:
                raise SystemExit(self.failure())
            time.sleep(0.05)

    def failure(self) -> str:
        """Returns what to say if the program has ended."""
        return f"A program ended too early: {self.process.args}\n{self.log.read_text()[-2000:]}"  # type: ignore[str-bytes-safe]

    def send(self, number: signal.Signals) -> None:
        os.killpg(self.process.pid, number)

    def peak(self) -> float:
        """Returns the peak of its resident memory in GiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) / 2**20

    def end(self) -> None:
        if self.process.poll() is None:
            self.send(signal.SIGKILL)
            self.process.wait()


def seconds_within(marks: Sequence[float], turns: Sequence[tuple[float, float]]) -> list[list[float]]:
    """Returns the lengths of the iterations that lie within each turn."""
    return [
        [after - before for before, after in pairwise(marks) if begin <= before and after <= end]
        for begin, end in turns
    ]


def sides(row: Row, peers: Path, python: str, folder: Path, precisions: Mapping[str, str]) -> dict[str, list[str]]:
    """Returns the command of each program."""
    data = folder / "data"

    def filled(argument: str) -> str:
        return argument.replace("{data}", str(data)).replace("{peers}", str(peers))

    script, *arguments = row.peer
    ours = [sys.executable, "-m", "gan_lab.train", *map(filled, row.ours), *EVERY]
    commands = {"peer": [python, script if script in row.files else str(peers / script), *map(filled, arguments)]}
    for name, precision in precisions.items():
        commands[name] = [*ours, f"precision={precision}", f"run_dir={folder / name / 'run'}"]
    return commands


def start(name: str, command: Sequence[str], row: Row, peers: Path, folder: Path, core: int | None) -> Side:
    place = folder / name / (row.place if name == "peer" else ".")
    shutil.rmtree(folder / name, ignore_errors=True)
    place.mkdir(parents=True)
    for file, content in row.files.items():
        (place / file).parent.mkdir(exist_ok=True)
        (place / file).write_text(content)
    if name == "peer" and row.link:
        link = folder / name / row.link
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(folder / "data", target_is_directory=True)
    needed = ROOT if name != "peer" else peers / row.path if row.path else None
    env = {**os.environ, "OMP_NUM_THREADS": "1", "GAN_LAB_CACHE": str(folder / "cache"), "PYTHONWARNINGS": "ignore"}
    env["MARKED_STEPS"] = str(row.steps)
    env["PYTHONPATH"] = os.pathsep.join(map(str, filter(None, (MARKS, needed))))
    return Side(command, place, env, core)


def race(
    row: Row, peers: Path, python: str, turns: int, seconds: float, starts: int, core: int | None
) -> dict[str, Any]:
    """Returns images per second, seconds to the first step and peaks of each program, and ratios to the peer's."""
    kind = auto_precision("cpu")
    precisions = {"ours": kind} | ({} if kind == "32-true" else {"ours_fp32": "32-true"})
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        row.draws(folder / "data")
        commands = sides(row, peers, python, folder, precisions)
        first: dict[str, list[float]] = {name: [] for name in commands}
        running: dict[str, Side] = {}
        try:
            for number in range(starts):
                for name, command in commands.items():
                    side = running[name] = start(name, command, row, peers, folder, core)
                    last = number == starts - 1
                    side.wait_for(1 + WARM_UP if last else 1)
                    side.send(signal.SIGSTOP)
                    first[name].append(side.marks()[0] - side.began)
                    if not last:
                        side.end()
            took = take_turns(running, turns, seconds)
            found = {
                name: {
                    "seconds": seconds_within(side.marks(), took[name]),
                    "peak": side.peak(), "first": statistics.median(first[name]),
                }
                for name, side in running.items()
            }  # fmt: skip
        finally:
            for side in running.values():
                side.end()
        limits = {name: limit(commands[name], folder, row.batch, core) for name in precisions}
    result = summary(found, row.batch)
    for name, its in limits.items():
        result[name]["limit"] = its | {"share": round(result[name]["images_per_second"] / its["images_per_second"], 3)}
    return result


def limit(command: Sequence[str], folder: Path, batch: int, core: int | None) -> dict[str, float]:
    """Returns what gan_lab's command could reach on the core; see race_limit.py."""
    pinned = [] if core is None else ["taskset", "-c", str(core)]
    overrides = [each for each in command[3:] if not each.startswith(("logger=", "run_dir=", "callbacks."))]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "GAN_LAB_CACHE": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
    output = subprocess.run(
        [*pinned, sys.executable, str(LIMIT), *overrides], cwd=folder, env=env, check=True, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    ).stdout  # fmt: skip
    found: dict[str, float] = json.loads(output.rsplit("found ", 1)[1])
    return {"images_per_second": float(f"{batch / found.pop('seconds'):.4g}"), **found}


def take_turns(running: Mapping[str, Side], turns: int, seconds: float) -> dict[str, list[tuple[float, float]]]:
    """Lets each program run for a few seconds at a time; returns begin and end of its turns."""
    lengths = {}
    for name, side in running.items():
        marks = side.marks()
        lengths[name] = max(seconds, PER_TURN * statistics.median(b - a for a, b in pairwise(marks)))
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in running}
    for _ in range(turns):
        for name, side in running.items():
            side.send(signal.SIGCONT)
            begin = time.monotonic()
            time.sleep(lengths[name])
            side.send(signal.SIGSTOP)
            took[name].append((begin, time.monotonic()))
            if side.process.poll() is not None:
                raise SystemExit(side.failure())
    return took


def summary(found: Mapping[str, Mapping[str, Any]], batch: int) -> dict[str, Any]:
    """Returns medians, and for each program the quartiles over turns of its speed in units of the peer's."""
    speeds = {name: batch / statistics.median(chain.from_iterable(each["seconds"])) for name, each in found.items()}
    medians = {name: [statistics.median(turn) for turn in each["seconds"] if turn] for name, each in found.items()}
    result: dict[str, Any] = {}
    for name, each in found.items():
        result[name] = {
            "images_per_second": float(f"{speeds[name]:.4g}"),
            "first_step_s": round(each["first"], 2),
            "peak_gib": round(each["peak"], 3),
            "iterations": sum(len(turn) for turn in each["seconds"]),
        }
        if name != "peer":
            ratios = sorted(a / b for a, b in zip(medians["peer"], medians[name], strict=False))
            result[name] |= {
                "speed_over_peer": round(speeds[name] / speeds["peer"], 3),
                "quartiles": [round(ratios[len(ratios) // 4], 3), round(ratios[-1 - len(ratios) // 4], 3)],
                "first_step_over_peer": round(each["first"] / found["peer"]["first"], 3),
                "peak_over_peer": round(each["peak"] / found["peer"]["peak"], 3),
            }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peers", type=Path, help="the folder of checkouts")
    parser.add_argument(
        "--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW", help=f"default: {' '.join(ROWS)}"
    )
    parser.add_argument("--python", default=sys.executable, help="runs the peers (default: this Python)")
    parser.add_argument("--turns", type=int, default=9, help="turns of each program (default 9)")
    parser.add_argument("--seconds", type=float, default=4.0, help="the shortest turn (default 4)")
    parser.add_argument("--starts", type=int, default=3, help="starts of each program, for the first step (default 3)")
    parser.add_argument("--core", type=int, default=0, help="the processor core; -1: any (default 0)")
    parser.add_argument("--output", type=Path, help="add the rows to this JSON file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # as the programs have, for the hardware's description
    core = None if arguments.core < 0 or not shutil.which("taskset") else arguments.core
    made_by = {
        "hardware": describe_hardware(torch.device("cpu")), "precision": auto_precision("cpu"),
        "load": round(os.getloadavg()[0], 1), "versions": versions(), "date": date.today().isoformat(),
    }  # fmt: skip
    for name in arguments.rows:
        known = (
            json.loads(arguments.output.read_text())["race"] if arguments.output and arguments.output.exists() else {}
        )
        row = race(
            ROWS[name], arguments.peers.resolve(), arguments.python, arguments.turns, arguments.seconds,
            arguments.starts, core,
        )  # fmt: skip
        report = {"race": {**known, name: row | made_by}}
        print("\n".join(race_table({"race": {"race": {name: report["race"][name]}}})), flush=True)
        if arguments.output:
            arguments.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
