#!/usr/bin/env bash
# torch 2.15.0: antialias=True changes bicubic enlarging, where there is nothing to alias, and with it super-resolution's
# baseline.
#
# The flag is documented for reducing. One would guess that it does nothing when an image is enlarged, as in bilinear
# mode, where both results are equal to the bit. Seen in bicubic mode: another kernel. Without the flag Keys' parameter a
# is -0.75, OpenCV's; with it a is -0.5, Pillow's and MATLAB's. A step from 0 to 1, enlarged twice, overshoots by 0.105
# without the flag and by 0.070 with it, which is Pillow's result within 1e-6. On two photographs
# reduced by Pillow and enlarged again, PSNR of "bicubic" is 0.1 to 0.3 dB higher without the flag, and figures of two
# programs that both say "bicubic" differ by it.
#
# Source: on a CPU the antialiased path builds its weights with HelperInterpCubic::aa_filter, which has a = -0.5 for
# Pillow's sake, in aten/src/ATen/native/cpu/UpSampleKernel.cpp; the other path has A = -0.75.
#
# Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet torch==2.15.0 numpy==2.4.6 pillow==12.3.0 scikit-image==0.26.0
env/bin/python - <<'PYTHON'
import numpy as np
import torch
from PIL import Image
from skimage.data import astronaut, chelsea
from torch.nn.functional import interpolate

step = torch.zeros(1, 1, 16, 16)
step[..., 8:] = 1
found = {}
for mode in ("bilinear", "bicubic"):
    plain, smooth = (interpolate(step, scale_factor=2, mode=mode, antialias=flag) for flag in (False, True))
    pillow = Image.fromarray(step[0, 0].numpy()).resize((32, 32), Image.Resampling[mode.upper()])
    found[mode] = [float((plain - smooth).abs().max()), float((smooth[0, 0] - torch.from_numpy(np.array(pillow))).abs().max())]
    print(f"{mode}, enlarged twice: with and without the flag differ by {found[mode][0]:.4f}; from Pillow {found[mode][1]:.0e};")
    print(f"  overshoot {plain.max() - 1:.4f} without, {smooth.max() - 1:.4f} with it")

gains = []
for name, pixels, factor in [(each.__name__, each()[:300, :448], factor) for each in (astronaut, chelsea) for factor in (2, 4)]:
    photograph = Image.fromarray(pixels)
    truth = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float()
    small = photograph.resize([side // factor for side in photograph.size], Image.Resampling.BICUBIC)
    image = torch.from_numpy(np.array(small)).permute(2, 0, 1)[None].float()
    decibels = []
    for flag in (False, True):
        large = interpolate(image, scale_factor=factor, mode="bicubic", antialias=flag).clamp(0, 255).round()
        decibels.append(float(20 * torch.log10(255 / (large - truth).square().mean().sqrt())))
    gains.append(decibels[0] - decibels[1])
    print(f"bicubic ×{factor} of {name}: {decibels[0]:.2f} dB without the flag, {decibels[1]:.2f} with it")
assert found["bilinear"][0] == 0 and found["bilinear"][1] < 1e-6
assert found["bicubic"][0] > 0.03 and found["bicubic"][1] < 1e-6, "the flag no longer changes the kernel"
assert min(gains) > 0.05, gains
PYTHON
