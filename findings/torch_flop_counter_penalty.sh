#!/usr/bin/env bash
# torch 2.15.0: FlopCounterMode raises in a training step with a gradient penalty whose points are leaf tensors.
#
# One would guess that counting operations does not change what a step may do. Seen: the usual code of WGAN-GP or R1
# (points.detach().requires_grad_(), then torch.autograd.grad of the logits at them) ends within FlopCounterMode with
# "A leaf node was passed to _will_engine_execute_node but we are currently running autograd.grad(). This is currently
# not supported." With the same points made by an operation it counts them.
#
# Source: FlopCounterMode always tracks modules, for its table by module, with register_multi_grad_hook on each module's
# inputs, and that hook asks the engine about the inputs' nodes. A mode of one's own that sums
# torch.utils.flop_counter.flop_registry over dispatched operations counts both.
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
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, flop_registry

torch.manual_seed(0)
critic = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))


class Own(TorchDispatchMode):
    total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        count = flop_registry.get(func._overloadpacket)
        self.total += count(*args, **(kwargs or {}), out_val=result) if count else 0
        return result


def step(points):
    (gradient,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
    (gradient.norm(dim=1) - 1).square().mean().backward()


leaf = torch.randn(3, 4, requires_grad=True)
step(leaf)
print(f"torch {torch.__version__}: the step runs by itself")
with Own() as own:
    step(leaf)
with FlopCounterMode(display=False) as library:
    step(leaf * 1)
print(f"operations of a step: {own.total} by an own mode, {library.get_total_flops()} by the library's at other points")
try:
    with FlopCounterMode(display=False):
        step(leaf)
except RuntimeError as error:
    print(f"FlopCounterMode at leaf points: {error}")
    assert "leaf node" in str(error) and own.total > 0
else:
    raise SystemExit("FlopCounterMode counts it now")
PYTHON
