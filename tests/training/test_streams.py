"""Training on shards: an interrupted run of two processes goes on exactly."""

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np

from gan_lab.data.shards.writing import write_shards

WORKER = Path(__file__).parents[1] / "stream_worker.py"


def test_an_interrupted_run_of_two_processes_goes_on_exactly(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (42, 3, 16, 16), np.uint8)
    write_shards(tmp_path / "shards", {"all": ((image, None) for image in pixels)}, "webdataset", shard_bytes=9000)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", str(WORKER)]
    command += [str(tmp_path / "shards"), str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr[-4000:]
    ranks = [ast.literal_eval((tmp_path / f"{rank}.txt").read_text()) for rank in range(2)]
    assert len(set(ranks[0]) | set(ranks[1])) == len(ranks[0]) + len(ranks[1])  # no batch twice, in either rank
