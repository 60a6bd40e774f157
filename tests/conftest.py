"""What every test shares: half the cores, a cache of its own, and the real data where they are."""

import gc
import os
import signal
import tempfile
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

cache = tempfile.TemporaryDirectory(prefix="gan_lab-tests-", ignore_cleanup_errors=True)  # removed at exit
os.environ["GAN_LAB_CACHE"] = cache.name
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup would have tests of closed terminals ignore it
torch.set_num_threads(max(1, (os.cpu_count() or 2) // 2))


def pytest_collection_finish() -> None:
    """What is imported by then stays: the garbage collector need not look at it again and again."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    gc.unfreeze()


LAUNCHED = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE")


@pytest.fixture(autouse=True)
def alone():
    """Ends a process group that a test leaves, and forgets the variables Lightning sets for it: DDP does neither."""
    before = {name: os.environ.get(name) for name in LAUNCHED}
    yield
    if dist.is_initialized():
        dist.destroy_process_group()
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets named by GAN_LAB_TEST_DATA. Without it the test is skipped, but never under CI."""
    folder = os.environ.get("GAN_LAB_TEST_DATA")
    if folder and Path(folder).is_dir():
        return Path(folder)
    if folder or os.environ.get("CI"):
        pytest.fail(f"GAN_LAB_TEST_DATA must name the folder of real data sets, but it is {folder!r}.")
    pytest.skip("set GAN_LAB_TEST_DATA to the folder of real data sets")
