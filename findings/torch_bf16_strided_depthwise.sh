#!/usr/bin/env bash
# torch 2.15.0 on a CPU: in bfloat16, a depthwise convolution of stride 2 is quick forward and many times slower backward
# than in float32; a depthwise transposed convolution is as slow forward.
#
# One would guess that bfloat16 is as quick as float32, or quicker, as it is for other convolutions and for the same filter
# with stride 1. Seen on x86-64 with AVX512-BF16, one thread, maps of 16×128×8×8: backward of the strided filter 10 ms
# against 0.2 ms, and the transposed one forward 20 ms against 0.4 ms. With fewer and larger maps the ratio is 10 to 30.
# So a low-pass filter between resolutions, which has hardly any work to do, took a quarter of a StyleGAN2's step under
# autocast; computing it in float32 and converting the maps costs nothing by comparison.
#
# Source: both are oneDNN's backward-data pass of a depthwise convolution. ONEDNN_VERBOSE=1 shows jit_dw, a kernel for
# depthwise convolutions, in float32, and brgconv_strided, one for any convolution, in bfloat16.
#
# Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet torch==2.15.0 numpy==2.4.6
env/bin/python - <<'PYTHON'
import time
import torch
import torch.nn.functional as F

torch.set_num_threads(1)

def milliseconds(work):
    for _ in range(3):
        work()
    seconds = []
    for _ in range(15):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return 1000 * sorted(seconds)[7]

def timed(dtype):
    maps = torch.randn(16, 128, 8, 8).to(memory_format=torch.channels_last).to(dtype)
    kernel = torch.ones(128, 1, 4, 4, dtype=dtype) / 16
    inputs = maps.clone().requires_grad_()
    found = {}
    for stride in (1, 2):
        result = F.conv2d(inputs, kernel, stride=stride, padding=1, groups=128)
        slope = torch.randn_like(result)
        found[f"backward, stride {stride}"] = milliseconds(
            lambda: torch.autograd.grad(result, inputs, slope, retain_graph=True)
        )
    found["transposed, forward"] = milliseconds(
        lambda: F.conv_transpose2d(maps, kernel, stride=2, padding=1, groups=128)
    )
    return found

full, half = timed(torch.float32), timed(torch.bfloat16)
ratios = {name: half[name] / full[name] for name in full}
for name in full:
    print(f"{name}: float32 {full[name]:.2f} ms, bfloat16 {half[name]:.2f} ms, ratio {ratios[name]:.1f}")
assert ratios["backward, stride 1"] < 4
assert ratios["backward, stride 2"] > 4 and ratios["transposed, forward"] > 4, "bfloat16 is quick now"
PYTHON
