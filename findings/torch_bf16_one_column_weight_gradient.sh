#!/usr/bin/env bash
# torch 2.15.0 on a CPU: in bfloat16, the weight gradient of a strided convolution is undefined at columns of the kernel that
# never meet a pixel: it holds what the memory held before, other gradients or not-a-number.
#
# One would guess that a tap which sees nothing but padding has gradient 0, as it has in float32, and in bfloat16 at rows that
# never meet a pixel. Seen on x86-64 with AVX512-BF16: a 3×3 convolution of stride 2 with padding 1 over maps of one pixel, 32
# to 32 maps: the left or right column of the middle row, or both, hold numbers of other tensors. It happens at one-pixel maps of any
# batch, and in a 5×5 kernel with stride 4 over 2×2 maps; not with stride 1, and not in float32.
#
# A network that halves its maps down to one pixel learns from these numbers, or is full of NaN after a step, under autocast
# alone. Reading the output shows nothing wrong: the forward pass and the gradient of the input are right.
#
# Source: oneDNN's pass backward_weights; ONEDNN_VERBOSE=1 shows jit_bf16:avx512_core_bf16 for it.
#
# Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet torch==2.15.0 numpy==2.4.6
OMP_NUM_THREADS=1 env/bin/python - <<'PYTHON'
import torch
import torch.nn.functional as F

torch.manual_seed(0)
SEVEN = 7.0  # what the memory is filled with before

def gradient(dtype, stride=2):
    maps = torch.randn(4, 32, 1, 1, dtype=dtype)
    weight = torch.randn(32, 32, 3, 3, dtype=dtype, requires_grad=True)
    result = F.conv2d(maps, weight, stride=stride, padding=1)
    used = [torch.full((32 * 32 * 9 * factor,), SEVEN, dtype=each) for factor in (1, 2, 4) for each in (dtype, torch.float32)]
    del used
    result.sum().backward()
    return weight.grad.float()

def undefined(dtype, stride=2):
    """Returns how often taps that see only padding have another gradient than 0, in 20 tries, by row and column."""
    wrong = torch.zeros(3, 3, dtype=torch.int64)
    for _ in range(20):
        wrong += (gradient(dtype, stride) != 0).any(0).any(0)
    wrong[1, 1] = 0  # the centre meets the pixel
    return wrong

full, half, plain = undefined(torch.float32), undefined(torch.bfloat16), undefined(torch.bfloat16, stride=1)
print("tries of 20 in which taps that see only padding have a gradient:")
for name, found in (("float32, stride 2", full), ("bfloat16, stride 2", half), ("bfloat16, stride 1", plain)):
    print(f"{name}: {found.tolist()}")
assert not full.any() and not plain.any()
assert half[1, 0] or half[1, 2], "bfloat16 has zeros there now"
assert not half[[0, 2]].any()
PYTHON
