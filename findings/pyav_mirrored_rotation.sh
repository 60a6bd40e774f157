#!/usr/bin/env bash
# PyAV 18.1.0: the rotation that a mirrored video's frames state is not how to show them.
#
# A phone's front camera can write a display matrix that mirrors the picture. One would guess that `VideoFrame.rotation`
# is 0 there, or that something tells of the mirror. Seen: a matrix that mirrors left and right gives -180, so that a
# program that turns the frame by it shows it upside down; one that mirrors top and bottom gives 0, so that it stays
# upside down. The property is FFmpeg's av_display_rotation_get(), which is documented for pure rotations alone; the
# matrix itself is in `frame.side_data["DISPLAYMATRIX"]`, and its determinant tells a mirror.
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

picture = np.zeros((32, 64, 3), np.uint8)
picture[:16, :32] = 255  # white at the top left


def rotation(**flips):
    with av.open("mirrored.mp4", "w") as file:
        stream = file.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        stream.set_display_rotation(0, **flips)
        file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode())
    with av.open("mirrored.mp4") as file:
        frame = next(file.decode(video=0))
        found = [side for side in frame.side_data if side.type.name == "DISPLAYMATRIX"]  # none if nothing is turned
        matrix = np.frombuffer(bytes(found[0]), np.int32).reshape(3, 3)[:2, :2] / 65536 if found else np.eye(2)
        return frame.rotation, round(float(np.linalg.det(matrix)))


seen = {"none": rotation(), "left and right": rotation(hflip=True), "top and bottom": rotation(vflip=True)}
for mirror, (angle, determinant) in seen.items():
    print(f"mirrored {mirror}: rotation {angle}, determinant of the matrix {determinant}")
assert seen["none"] == (0, 1)
assert abs(seen["left and right"][0]) == 180 and seen["left and right"][1] == -1
assert seen["top and bottom"] == (0, -1)
PYTHON
