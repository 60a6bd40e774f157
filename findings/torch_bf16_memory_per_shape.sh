#!/usr/bin/env bash
# torch 2.15.0 on a CPU: in bfloat16, each new number of rows that a linear layer meets costs about 0.7 MiB of memory, which
# is not given back; in float32 it costs nothing to speak of.
#
# One would guess that a layer keeps nothing between calls, and that half of the bytes take half of the memory. Seen on
# x86-64 with AVX512-BF16, one thread, Linear(256, 256) without gradients: 500 different numbers of rows add 340 MiB in
# bfloat16 and about 2 MiB in float32; 4,000 add 1.4 GiB. With gradients there are three programs for each number of rows,
# and a first 500 add 770 MiB. A network that works on rows of varying number (graphs, points, patches that occur in a
# picture) thus grew from 1.4 to 2.4 GiB within eighty training steps; with the rows padded to a few numbers it did not.
#
# Source: oneDNN, which bfloat16 layers use, compiles a program for each shape and keeps 1,024 of them;
# ONEDNN_PRIMITIVE_CACHE_CAPACITY=16 halves the growth and does not end it. In float32 such a layer is a call of MKL.
#
# Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet torch==2.15.0 numpy==2.4.6
env/bin/python - <<'PYTHON'
from pathlib import Path
import torch

torch.set_num_threads(1)

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20

@torch.no_grad()
def growth(dtype):
    layer = torch.nn.Linear(256, 256).to(dtype)
    for _ in range(500):
        layer(torch.zeros(1000, 256, dtype=dtype))
    before = resident()
    for rows in range(500, 1000):
        layer(torch.zeros(rows, 256, dtype=dtype))
    return resident() - before

full, half = growth(torch.float32), growth(torch.bfloat16)
print(f"500 numbers of rows: {full:.0f} MiB in float32, {half:.0f} MiB in bfloat16")
assert full < 50
assert half > 100, "memory does not grow with the number of shapes now"
PYTHON
