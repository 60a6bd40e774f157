#!/usr/bin/env bash
# torch 2.15.0: FlopCounterMode raises where a gradient penalty (R1, WGAN-GP) is taken at images that are leaves of the graph.
#
# One would guess that a counter of operations can watch any training step. Seen: inside the counter, autograd.grad of a
# network's output with respect to its input raises "A leaf node was passed to _will_engine_execute_node but we are currently
# running autograd.grad()", although the same lines work without the counter. With an input that is the result of an operation
# they work inside the counter too, so whether a GAN's step can be counted depends on how its penalty was written.
#
# Source: torch/utils/module_tracker.py hooks the inputs of every module to know when its backward pass is over, and
# register_multi_grad_hook asks the engine about them. Counting by a TorchDispatchMode of one's own with
# torch.utils.flop_counter.flop_registry needs no modules, and works.
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

def penalty(images):
    (slope,) = torch.autograd.grad(critic(images).sum(), images, create_graph=True)
    slope.square().sum().backward()

class Counter(TorchDispatchMode):
    total = 0

    def __torch_dispatch__(self, function, types, arguments=(), named=None):
        result = function(*arguments, **(named or {}))
        if function.overloadpacket in flop_registry:
            self.total += flop_registry[function.overloadpacket](*arguments, **(named or {}), out_val=result)
        return result

leaf = torch.randn(3, 4, requires_grad=True)
penalty(leaf)
print("without a counter: works")
with FlopCounterMode(display=False) as counter:
    penalty(leaf * 1)
print(f"torch's counter, images that are no leaf: {counter.get_total_flops()} operations")
with Counter() as own:
    penalty(leaf)
print(f"a counter without hooks, images that are a leaf: {own.total} operations")
assert own.total == counter.get_total_flops()
try:
    with FlopCounterMode(display=False):
        penalty(leaf)
except RuntimeError as error:
    print(f"torch's counter, images that are a leaf: {error}")
else:
    raise SystemExit("torch's counter can watch a gradient penalty now")
PYTHON
