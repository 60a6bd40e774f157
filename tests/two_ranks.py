"""What one of two processes does when another gets a signal, or fails, in a long step of both."""

import json
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist

from gan_lab.common import stopping
from gan_lab.common.errors import RankError
from gan_lab.common.stopping import Interrupted, interruptible, separately
from gan_lab.evaluation.image_sets import SampledImages
from gan_lab.evaluation.statistic_set import ImageCount
from gan_lab.evaluation.statistics import Comparison
from gan_lab.evaluation.suite import Suite


class Sampler:
    device = torch.device("cpu")

    def sample(self, n, seed=0, start=0, label=None, truncation=1.0):
        return torch.zeros(n, 1, 4, 4)


class Counted(Comparison):
    input = "images"

    def __init__(self):
        super().__init__(ImageCount(), ImageCount())

    def compare(self, real, fake):
        return {"counted": float(fake)}


class Slow(Counted):
    """Takes a minute, on one rank only if ``slow`` says so."""

    def compare(self, real, fake):
        if Slow.here:
            until = time.monotonic() + 60
            while time.monotonic() < until:
                time.sleep(60)
        return {}


class Failing(Counted):
    """Fails on one rank."""

    def compare(self, real, fake):
        if dist.get_rank() == 1:
            raise ValueError("too few")
        return {"failing": 0.0}


def images() -> SampledImages:
    return SampledImages(Sampler(), (1, 4, 4), 8, batch_size=2)


def failing() -> dict:
    """The metrics of which one fails on one rank, and why."""
    suite = Suite({"failing": Failing, "counted": Counted}, [], images(), progress=False)
    found = suite.evaluate(images())[0]
    return {"found": found, "failed": {name: str(each) for name, each in suite.failed.items()}}


def interrupted(slow: list[int], begun: Path) -> float:
    """The time at which a slow metric was interrupted, seconds since the epoch."""
    Slow.here = dist.get_rank() in slow
    stopping.clear()
    begun.touch()
    try:
        with interruptible(together=True):
            Suite({"slow": Slow}, [], images(), progress=False).evaluate(images())
    except Interrupted as signalled:
        assert signalled.number == signal.SIGTERM
        total = torch.ones(1)
        dist.all_reduce(total)  # the ranks are where they can go on together
        assert total == 2
        return time.time()
    raise AssertionError


def raised() -> str:
    try:
        separately(lambda: 1 / dist.get_rank())
    except (ZeroDivisionError, RankError) as error:
        return repr(error)
    return ""


def main(folder: Path, rank: int, port: int) -> None:
    torch.set_num_threads(1)
    signal.signal(signal.SIGTERM, lambda number, _: stopping.is_repeated(number) or stopping.request(number))
    meet = f"tcp://127.0.0.1:{port}"
    dist.init_process_group("gloo", init_method=meet, rank=rank, world_size=2, timeout=timedelta(seconds=60))
    told = {"failing": failing(), "raised": raised()}
    told["ends"] = [interrupted(slow, folder / f"{number}-{rank}") for number, slow in enumerate(([0, 1], [0], [1]))]
    print(json.dumps(told))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
