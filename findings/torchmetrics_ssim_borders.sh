#!/usr/bin/env bash
# torchmetrics' SSIM is not the SSIM of the papers: it also averages over windows that reach beyond the image.
#
# Wang et al. 2004 average the index over the places at which the 11 px window lies within the image ("valid"
# filtering in their code). pytorch-msssim does so, and so does scikit-image, which computes borders with reflected
# pixels but leaves them out of the mean. torchmetrics pads the images by reflection, too, and then takes the mean over
# everything: its return statements use the full map, and the cropping that the code has is applied to the contrast
# term of multi-scale SSIM alone. One would expect three implementations with the same window, σ and constants to
# agree; pytorch-msssim and scikit-image do, to five digits.
#
# The difference depends on the share of the border: at 64 px some hundredths, at 256 px some thousandths. That is as
# large as the gaps between methods in published tables, so values of torchmetrics cannot be put beside them.
#
# Seen with torchmetrics 1.9.0 (torchmetrics/functional/image/ssim.py, _ssim_update), pytorch-msssim 1.0.0 and
# scikit-image 0.26.0. Fails if torchmetrics agrees with the others, or if these do not agree.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
python3 -m venv env
env/bin/pip install -q "torch==2.*" "torchmetrics==1.9.0" "pytorch-msssim==1.0.0" "scikit-image==0.26.0" "numpy<2.5"
env/bin/python - <<'PY'
import torch
from pytorch_msssim import ssim as msssim
from skimage.metrics import structural_similarity as skimage_ssim
from torchmetrics.functional.image import structural_similarity_index_measure as torchmetrics_ssim

for side in (64, 256):
    noise = torch.Generator().manual_seed(0)
    clean = torch.nn.functional.avg_pool2d(torch.rand(1, 3, side, side, generator=noise), 3, 1, 1)
    other = (clean + 0.1 * torch.randn(clean.shape, generator=noise)).clamp(0, 1)
    a = float(msssim(clean, other, data_range=1.0))
    b = float(
        skimage_ssim(
            clean[0].numpy(), other[0].numpy(), data_range=1.0, channel_axis=0, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False,
        )
    )
    c = float(torchmetrics_ssim(clean, other, data_range=1.0))
    print(f"{side} px: pytorch-msssim {a:.5f}, scikit-image {b:.5f}, torchmetrics {c:.5f}")
    assert abs(a - b) < 1e-4, "the other two do not agree"
    assert abs(a - c) > (5e-3 if side == 64 else 1e-3), "torchmetrics agrees now"
PY
