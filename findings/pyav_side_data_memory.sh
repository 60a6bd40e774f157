#!/usr/bin/env bash
# PyAV 18.1.0: looking at a frame's side data keeps the frame in memory until Python's garbage collector runs.
#
# `frame.side_data` builds a container that refers to the frame, and the frame keeps the container: a cycle. One would
# guess that a frame is freed when the loop goes on, as it is without a look. Seen: decoding 150 frames of 1920×1080 px
# one after another peaks some hundred MiB higher when the loop reads `side_data`, for example to find a display matrix.
# Python's collector counts objects, not bytes, so it runs late. A look at the first frame alone avoids it.
#
# Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet av==18.1.0 numpy==2.4.6
cat > decode.py <<'PYTHON'
import resource
import sys

import av

with av.open("film.mp4") as file:
    file.streams.video[0].thread_count = 1
    for frame in file.decode(video=0):
        if sys.argv[1] == "looks":
            frame.side_data
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
PYTHON
env/bin/python - <<'PYTHON'
import av
import numpy as np

frame = av.VideoFrame.from_ndarray(np.zeros((1080, 1920, 3), np.uint8), format="rgb24").reformat(format="yuv420p")
with av.open("film.mp4", "w") as file:
    stream = file.add_stream("libx264", rate=25)
    stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
    for _ in range(150):
        file.mux(stream.encode(frame))
    file.mux(stream.encode())
PYTHON
without=$(env/bin/python decode.py passes)
with=$(env/bin/python decode.py looks)
echo "peak without a look at side_data: $without MiB; with one: $with MiB"
test "$with" -gt $((without + 100))
