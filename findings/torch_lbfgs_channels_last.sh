#!/usr/bin/env bash
# torch 2.15.0: L-BFGS cannot optimise an image in channels_last, which every other optimizer can.
#
# One would guess that an optimizer takes a tensor in any memory layout. Seen: Adam, SGD and Rprop step an image (1, 3, H,
# W) in channels_last; L-BFGS raises "view size is not compatible with input tensor's size and stride". It meets people
# who do style transfer: torch.from_numpy(picture).permute(2, 0, 1) has that layout, clone() keeps it, and L-BFGS is the
# optimizer of that method.
#
# Source: LBFGS._gather_flat_grad uses p.grad.view(-1), and autograd gives the gradient of a dense leaf the leaf's own
# strides. clone(memory_format=torch.contiguous_format) before requires_grad_() avoids it.
#
# Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet torch==2.15.0 numpy==2.4.6
env/bin/python - <<'PYTHON'
import numpy as np
import torch

outcomes = {}
for kind in (torch.optim.Adam, torch.optim.SGD, torch.optim.Rprop, torch.optim.LBFGS):
    picture = np.zeros((4, 4, 3), np.float32)
    image = torch.from_numpy(picture).permute(2, 0, 1)[None].clone().requires_grad_()
    optimizer = kind([image], lr=0.1)

    def loss():
        optimizer.zero_grad()
        value = (image - 1).square().sum()
        value.backward()
        return value

    try:
        optimizer.step(loss)
        outcomes[kind.__name__] = "steps"
    except RuntimeError as error:
        outcomes[kind.__name__] = str(error).partition("(")[0].strip()
    print(f"torch {torch.__version__}, {kind.__name__}: {outcomes[kind.__name__]}")
assert outcomes.pop("LBFGS").startswith("view size is not compatible"), "L-BFGS takes it now"
assert set(outcomes.values()) == {"steps"}
PYTHON
