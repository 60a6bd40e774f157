"""Kills a run with SIGKILL at twenty moments and sees that nothing is lost (`make test-kill`, outside the suite).

A run is started again and again with ``resume=auto`` and killed, at least half of the times while a checkpoint is being
written, until twenty kills are done; then it may end. After every kill the last checkpoint must load, and must be at
most one interval behind the images that were seen; at the end the weights must equal, to the bit, those of a run that
nobody disturbed.
"""

import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from lightning.pytorch import Callback

KILLS, EVERY, IMAGES = 20, 640, 64_000
COMMAND = [
    sys.executable, "-m", "gan_lab.train", "model=dcgan", "data=digits", "logger=none", "batch_size=64",
    "model.generator.base=24", "model.discriminator.base=24", "budget.epochs=null", f"budget.images={IMAGES}",
    "callbacks=none", "+callbacks.checkpoint._target_=gan_lab.training.callbacks.checkpoint.Checkpoint",
    "+callbacks.checkpoint.folder=${run_dir}", f"+callbacks.checkpoint.every={EVERY}",
    "+callbacks.trace._target_=kill.Trace", "+callbacks.trace.path=${run_dir}/trace", "resume=auto",
]  # fmt: skip


class Trace(Callback):
    """Writes down, unbuffered, how many images were seen."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def on_train_batch_end(self, trainer, module, *_):
        with self.path.open("a") as file:
            file.write(f"{module.images_seen}\n")


def start(folder: Path) -> subprocess.Popen:
    folder.mkdir(exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1"}
    log = (folder / "log").open("a")
    return subprocess.Popen([*COMMAND, f"runs={folder}/runs"], cwd=folder, env=environment, stdout=log, stderr=log)


def seen(folder: Path) -> int:
    traces = sorted(folder.glob("runs/*/*/trace"))
    lines = traces[-1].read_text().split() if traces else []
    return int(lines[-1]) if lines else 0


def wait_for(process: subprocess.Popen, happened, timeout: float = 120.0) -> None:
    until = time.monotonic() + timeout
    while not happened():
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < until, "nothing happened"
        time.sleep(0.0002)


def kill(folder: Path, process: subprocess.Popen, while_saving: bool) -> bool:
    """Kills after a random number of further images; returns whether a checkpoint was being written just then."""
    until = seen(folder) + random.randrange(64, 4 * EVERY, 64)
    wait_for(process, lambda: seen(folder) >= until)

    def writing() -> bool:
        return any(folder.glob("runs/*/*/.last.*.ckpt"))

    if while_saving:
        wait_for(process, writing)
    process.kill()
    process.wait()
    return writing()


def check(folder: Path) -> int:
    """Images seen by the last checkpoint, which must load and lag at most one interval."""
    (path,) = folder.glob("runs/*/*/last.ckpt")
    images = torch.load(path, weights_only=True)["counters"]["images_seen"]
    assert seen(folder) - images <= EVERY, f"{seen(folder) - images} images lost"
    return images


def final(folder: Path) -> dict:
    (path,) = folder.glob("runs/*/*/last.ckpt")
    return torch.load(path, weights_only=True)


def main() -> None:
    random.seed(0)
    with tempfile.TemporaryDirectory() as root:
        whole, killed = Path(root) / "whole", Path(root) / "killed"
        assert start(whole).wait() == 0, (whole / "log").read_text()
        saving = 0
        for number in range(KILLS):
            hit = kill(killed, start(killed), while_saving=number % 4 != 3)
            saving += hit
            images = check(killed)
            print(
                f"kill {number + 1:2}: {'while saving' if hit else 'between saves'}, {images} images kept", flush=True
            )
            for left in killed.glob("runs/*/*/.last.*.ckpt"):
                left.unlink()
        assert saving >= KILLS // 2, f"only {saving} kills met a checkpoint being written"
        assert start(killed).wait() == 0, (killed / "log").read_text()
        one, two = final(whole), final(killed)
        assert one["counters"]["images_seen"] == two["counters"]["images_seen"]
        assert all(torch.equal(one["state_dict"][name], two["state_dict"][name]) for name in one["state_dict"])
        assert len(list(killed.glob("runs/*/*"))) == 1, "the run did not stay in its folder"
    print(
        f"{KILLS} kills, {saving} of them while a checkpoint was written: every checkpoint loads, the end is bit-equal"
    )


if __name__ == "__main__":
    main()
