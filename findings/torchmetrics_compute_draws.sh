#!/usr/bin/env bash
# torchmetrics 1.9.0: compute() of the Inception Score and of KID takes random numbers from the training.
#
# One would guess that reading a metric leaves everything else as it was, and that the same features give the same value.
# Seen: compute() of both shuffles with torch's global generator. The next random number of a seeded program is another
# with the metric than without it, so a GAN that is measured every thousand steps draws other latents and ends elsewhere
# than the same run measured every two thousand, or not at all. And two computes of the same features, one after the
# other, differ: here the Inception Score by 3 %, because it is a mean over ten random parts.
#
# Source: torchmetrics/image/inception.py and kid.py call torch.randperm without a generator in compute(). Saving and
# restoring the random state around compute(), torch.random.fork_rng(), avoids the first; a fixed seed within it the second.
#
# Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet torch==2.15.0 torchmetrics==1.9.0 numpy==2.4.6
env/bin/python - <<'PYTHON'
import torch
import torchmetrics
from torchmetrics.image.inception import InceptionScore
from torchmetrics.image.kid import KernelInceptionDistance


class Features(torch.nn.Module):
    """Stands for Inception: what it computes does not matter here."""

    num_features = 10

    def forward(self, images):
        return images.float().flatten(1)[:, :10] / 25


images = torch.randint(0, 256, (200, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
score, kid = InceptionScore(feature=Features()), KernelInceptionDistance(feature=Features(), subsets=5, subset_size=50)
score.update(images)
kid.update(images, real=True)
kid.update(images.roll(1, 3), real=False)

torch.manual_seed(1)
expected = torch.rand(()).item()
changed = {}
for metric in (score, kid):
    values = []
    torch.manual_seed(1)
    for _ in range(2):
        metric._computed = None  # the value that it keeps
        values.append(metric.compute()[0].item())
    torch.manual_seed(1)
    metric._computed = None
    metric.compute()
    following = torch.rand(()).item()
    name = type(metric).__name__
    changed[name] = following != expected and values[0] != values[1]
    print(f"torchmetrics {torchmetrics.__version__}, {name}: the next random number is {following:.4f} instead of "
          f"{expected:.4f}; two computes of the same features give {values[0]:.6g} and {values[1]:.6g}")
assert all(changed.values()), "compute() draws nothing now"
PYTHON
