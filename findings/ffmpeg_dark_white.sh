#!/usr/bin/env bash
# PyAV 18.1.0 (FFmpeg's scaler): the default conversion of 4:2:0 video to RGB is up to two levels too dark.
#
# In limited range, luma 235 of 8 bits, or 940 of 10 bits, is white. One would guess that `frame.to_ndarray("rgb24")`
# gives 255. Seen: 253 for 10 bits, because the scaler's default path for speed truncates. With interpolation by
# FULL_CHR_H_INT and ACCURATE_RND it is 255. A network that learns from such frames learns a white that is not white, and
# the same picture as PNG has a distance above zero.
#
# Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet av==18.1.0 numpy==2.4.6
env/bin/python - <<'PYTHON'
import av
import numpy as np
from av.video.reformatter import Interpolation

frame = av.VideoFrame(64, 64, "yuv420p10le")
for plane, level in zip(frame.planes, (940, 512, 512)):
    plane.update(np.full(plane.buffer_size // 2, level, "<u2").tobytes())
default = int(frame.to_ndarray(format="rgb24").max())
flags = Interpolation.BILINEAR | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND
exact = int(frame.reformat(format="rgb24", interpolation=flags).to_ndarray().max())
print(f"white of a 10-bit video: {default} by default, {exact} with exact rounding")
assert default < 255 and exact == 255
PYTHON
