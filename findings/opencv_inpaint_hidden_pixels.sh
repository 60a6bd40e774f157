#!/usr/bin/env bash
# OpenCV 5.0.0: where a hole touches the upper or left edge, inpainting depends on what the hole hid.
#
# The mask says which pixels are unknown. One would guess that their values have no effect, as the methods of Telea
# (2004) and Navier-Stokes read known pixels alone, and holes within the image behave so. Seen: the same image and mask,
# with the hole painted black or white before the call, give fillings that differ by up to 7 levels in a quarter of the
# hole, if it reaches the upper or left edge; at the lower and right edges they are equal. A filling that is compared with
# the truth, and whose input was the truth, has seen a little of it; and a result cannot be reproduced from the picture
# and the mask without what was under the mask.
#
# Source: modules/photo/src/inpaint.cpp. Gradients of the image near the edge shift the position that is read,
# km=k-1+(k==1), lm=l-1+(l==1), after whether that pixel is known was asked of the position that was not shifted. The
# lower and right edges shift kp and lp by -(k==t->rows-2) and do not meet a pixel of the hole here. Painting the hole in
# one colour before the call makes results reproducible.
#
# Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet opencv-python-headless==5.0.0.93 numpy==2.4.6
env/bin/python - <<'PYTHON'
import cv2
import numpy as np

small = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
image = cv2.resize(small, (64, 64), interpolation=cv2.INTER_CUBIC)
holes = {
    "within": np.s_[20:40, 20:40],
    "lower edge": np.s_[40:, 20:40],
    "right edge": np.s_[20:40, 40:],
    "upper edge": np.s_[:20, 20:40],
    "left edge": np.s_[20:40, :20],
}
found = {}
for name, hole in holes.items():
    mask = np.zeros((64, 64), np.uint8)
    mask[hole] = 255
    filled = []
    for paint in (0, 255):
        damaged = image.copy()
        damaged[hole] = paint
        filled.append(cv2.inpaint(damaged, mask, 3, cv2.INPAINT_TELEA).astype(int))
    difference = np.abs(filled[0] - filled[1]).max(2)
    found[name] = difference.max()
    print(f"OpenCV {cv2.__version__}, Telea, a hole ({name}): painted black or white before, the filling differs by "
          f"up to {difference.max()} levels, in {(difference[hole] > 0).mean():.0%} of its pixels")
assert found["within"] == found["lower edge"] == found["right edge"] == 0
assert found["upper edge"] > 2 and found["left edge"] > 2, "hidden pixels have no effect now"
PYTHON
