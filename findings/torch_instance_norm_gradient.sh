#!/usr/bin/env bash
# torch 2.15.0 on a CPU: instance norm's gradients are wrong for a batch of one whose gradients are channels_last.
#
# One would guess that a layer's gradient does not depend on the memory layout of what comes back to it. Seen: for a
# batch of two, the relative error is about 1e-7 in either layout; for a batch of one with channels_last gradients it is
# about 1, as large as the gradient itself, and nothing is raised. Convolutions in channels_last, the layout that is
# recommended for speed, give such gradients, and a batch of one is the published setting of CycleGAN.
#
# Source: F.instance_norm views its output, and Tensor.view of a channels_last tensor (1, C, H, W) has the stride C in
# place of H·W·C in its first dimension. Such a tensor counts as contiguous in both layouts, and
# native_batch_norm_backward reads its numbers in the order of the other one.
#
# Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet torch==2.15.0 numpy==2.4.6
env/bin/python - <<'PYTHON'
import torch
import torch.nn.functional as F

torch.manual_seed(0)
errors = {}
for batch in (1, 2):
    x, gradient = torch.randn(batch, 8, 6, 6), torch.randn(batch, 8, 6, 6)
    exact = x.double().requires_grad_()
    variance, mean = torch.var_mean(exact, (2, 3), correction=0, keepdim=True)
    (expected,) = torch.autograd.grad((exact - mean) / (variance + 1e-5).sqrt(), exact, gradient.double())
    for layout in (torch.contiguous_format, torch.channels_last):
        x = x.detach().requires_grad_()
        (found,) = torch.autograd.grad(F.instance_norm(x), x, gradient.contiguous(memory_format=layout))
        errors[batch, layout] = float((found - expected).norm() / expected.norm())
        print(f"torch {torch.__version__}, batch of {batch}, gradients {layout}: relative error {errors[batch, layout]:.1e}")
wrong = errors.pop((1, torch.channels_last))
assert wrong > 0.5 and max(errors.values()) < 1e-5
PYTHON
