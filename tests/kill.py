"""Ends runs of three methods forty times and sees that nothing is lost (`make test-kill`, outside the suite).

A run is started again and again with ``resume=auto`` and ended: by SIGKILL while it trains, while a checkpoint is being
written and while the last metrics are computed, and by SIGHUP. After each the last checkpoint must load, and must be at
most one interval behind the images that were seen; at the end the weights must equal, to the bit, those of a run that
nobody disturbed, and its table, its records and its TensorBoard events must be whole, and hold nothing twice.
"""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from lightning.pytorch import Callback
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gan_lab.evaluation.metrics.frechet import FrechetDistance

SAVING, TRAINING, MEASURING, HANGUP, HANGUP_MEASURING = "saving", "training", "measuring", "hangup", "hangup measuring"
PLAN = {
    "dcgan": [*[SAVING] * 6, *[TRAINING] * 3, *[HANGUP] * 2, *[MEASURING] * 3, HANGUP_MEASURING],
    "vae": [*[SAVING] * 5, *[TRAINING] * 2, HANGUP, *[MEASURING] * 3, HANGUP_MEASURING],
    "cyclegan": [*[SAVING] * 5, *[TRAINING] * 3, HANGUP, *[MEASURING] * 3, HANGUP_MEASURING],
}
"""What happens to the run of each method, in this order: forty ends in all."""

METHODS = {
    "dcgan": ["data=digits", "data.size=8", "model.generator.base=8", "model.discriminator.base=8"],
    "vae": ["data=digits", "data.size=8"],
    "cyclegan": ["data=plain2striped", "data.size=16", "generator.filters=4", "discriminator.filters=4",
                 "discriminator.layers=1"],
}  # fmt: skip
BATCH, INTERVALS = 16, 48
EVERY = BATCH * 16
IMAGES = EVERY * INTERVALS
COMMON = [
    f"batch_size={BATCH}", "trainer=cpu", "precision=32-true", "budget.epochs=null", f"budget.images={IMAGES}",
    "log_every=4", "metrics=distance", "metrics@quick=distance", "metrics.distance._target_=kill.SlowDistance",
    "callbacks.throughput=null", "callbacks.progress=null", f"callbacks.checkpoint.every={EVERY}",
    f"callbacks.samples.every={10 * EVERY}", "callbacks.samples.n=4", f"callbacks.fidelity.every={10 * EVERY}",
    "callbacks.fidelity.n=64", "callbacks.fidelity.quick_n=64", "+callbacks.trace._target_=kill.Trace",
    "+callbacks.trace.path=${run_dir}/trace", "resume=auto",
]  # fmt: skip
SLOW = 3.0
"""Seconds that the last metrics take at least."""


class Trace(Callback):
    """Writes down, unbuffered, how many images were seen."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def on_train_batch_end(self, trainer, module, *_):
        with self.path.open("a") as file:
            file.write(f"{module.images_seen}\n")


class SlowDistance(FrechetDistance):
    """Takes its time, so that it can be met at work."""

    def compare(self, real, fake):
        with Path(os.environ["MEASURED"]).open("a") as file:
            file.write("x")
        time.sleep(SLOW)
        return super().compare(real, fake)


class Chain:
    """A run of a method, which is started as often as it is ended.

    Args:
        method: one of ``METHODS``.
        folder: where its run folder is made.
    """

    def __init__(self, method: str, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.command = [sys.executable, "-m", "gan_lab.train", f"model={method}", *METHODS[method], *COMMON]
        self.command.append(f"runs={folder}/runs")

    def start(self) -> subprocess.Popen:
        places = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places)), "OMP_NUM_THREADS": "1"}
        environment["MEASURED"] = str(self.folder / "measured")
        log = (self.folder / "log").open("a")
        return subprocess.Popen(self.command, cwd=self.folder, env=environment, stdout=log, stderr=log)

    def finish(self) -> None:
        assert self.start().wait() == 0, (self.folder / "log").read_text()

    @property
    def run(self) -> Path:
        (found,) = self.folder.glob("runs/*/*")
        return found

    def seen(self) -> int:
        traces = list(self.folder.glob("runs/*/*/trace"))
        lines = traces[0].read_text().split() if traces else []
        return int(lines[-1]) if lines else 0

    def writing(self) -> bool:
        return any(self.folder.glob("runs/*/*/.last.*.ckpt"))

    def saved(self) -> dict:
        return torch.load(self.run / "last.ckpt", weights_only=True)

    def end(self, how: str) -> None:
        """Starts the run, ends it in one of the ways of ``PLAN``, and checks what it left."""
        measured, until = self.measured(), self.seen() + random.randrange(EVERY + BATCH, 2 * EVERY, BATCH)
        process = self.start()
        if how in (MEASURING, HANGUP_MEASURING):
            self._wait(process, lambda: self.measured() > measured)
            time.sleep(random.uniform(0, 0.9 * SLOW))
        else:
            self._wait(process, lambda: self.seen() >= until)
        if how == SAVING:
            self._wait(process, self.writing)
        signalled = how in (HANGUP, HANGUP_MEASURING)
        process.send_signal(signal.SIGHUP if signalled else signal.SIGKILL)
        status = process.wait()
        assert status == (129 if signalled else -9), f"status {status}: {(self.folder / 'log').read_text()[-2000:]}"
        lost = self.seen() - self.saved()["counters"]["images_seen"]
        assert lost <= (0 if signalled or how == MEASURING else EVERY), f"{lost} images lost"
        state = json.loads((self.run / "run.json").read_text())["state"]
        assert state == ("stopped" if signalled else "running"), state

        for left in self.run.glob(".last.*.ckpt"):
            left.unlink()

    def measured(self) -> int:
        """How often the last metrics were begun."""
        marks = self.folder / "measured"
        return marks.stat().st_size if marks.exists() else 0

    def _wait(self, process: subprocess.Popen, happened, timeout: float = 900.0) -> None:
        until = time.monotonic() + timeout
        while not happened():
            assert process.poll() is None, f"it ended too early: {(self.folder / 'log').read_text()[-2000:]}"
            assert time.monotonic() < until, "nothing happened"
            time.sleep(0.0002)


def table(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def records(run: Path) -> list[tuple]:
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [(line["tier"], line["images_seen"], line["figures"]) for line in lines]


def events(run: Path) -> dict[str, list]:
    """Every scalar and image that TensorBoard shows, by tag."""
    found = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0, "images": 0}).Reload()
    shown = {tag: [(each.step, each.value) for each in found.Scalars(tag)] for tag in found.Tags()["scalars"]}
    return shown | {tag: [each.step for each in found.Images(tag)] for tag in found.Tags()["images"]}


def compare(whole: Chain, ended: Chain) -> None:
    """Checks that the run that was ended time and again is the one that nobody disturbed."""
    one, two = whole.saved(), ended.saved()
    assert one["counters"]["images_seen"] == two["counters"]["images_seen"] == IMAGES
    assert all(torch.equal(one["state_dict"][name], two["state_dict"][name]) for name in one["state_dict"])
    for read in (table, records, events):
        one, two = read(whole.run), read(ended.run)
        assert one == two, f"{read.__name__} differs:\n{one}\n{two}"
    assert len({row["images"] for row in table(ended.run)}) == len(table(ended.run))
    assert json.loads((ended.run / "run.json").read_text())["state"] == "finished"


def main() -> None:
    random.seed(0)
    done = 0
    with tempfile.TemporaryDirectory() as root:
        for method, plan in PLAN.items():
            whole, ended = (Chain(method, Path(root) / f"{method}-{name}") for name in ("whole", "ended"))
            whole.finish()
            for how in plan:
                ended.end(how)
                done += 1
                print(f"{done:2} {method}: {how}, {ended.saved()['counters']['images_seen']} images kept", flush=True)
            ended.finish()
            compare(whole, ended)
            print(f"   {method}: weights equal to the bit, table, records and events whole", flush=True)
    print(f"{done} ends of three methods: nothing is lost, and nothing is there twice")


if __name__ == "__main__":
    main()
