#!/usr/bin/env bash
# litdata 0.2.76: chunks of samples that are bytes and numbers have an array of equal offsets, and no samples between them.
#
# A chunk is laid out as the comment in litdata's own streaming/writer.py says: the number of samples, N + 1 offsets, and
# the samples one after the other, sample i from offset i to offset i + 1. One would guess that a reader of that layout,
# in any language, finds the samples. It does for arrays and pictures. But samples of bytes, integers, floats and texts,
# such as an encoded JPEG with its class, are written as one table of Arrow for the whole chunk, after offsets that are
# all the length of the header; the file ends with the length of the table and the mark LDARW01. index.json does not say
# so: its "data_format" is ["bytes", "int"] as before, and its "item_loader" the usual PyTreeLoader. Only the mark tells.
#
# Seen: eight samples, offsets eight times and once more 40, a file of some hundred bytes more. StreamingDataset of the
# same version reads them; a reader of the documented layout gets eight empty samples, without an error.
#
# Source: litdata/streaming/writer.py, where a chunk in Arrow's form gets "slim" offsets.
#
# Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet litdata==0.2.76 torch==2.15.0 numpy==2.4.6 pyarrow==26.0.1
cat > pack.py <<'PYTHON'
import json
import struct
from pathlib import Path

import numpy as np
from litdata import StreamingDataset, optimize


def as_bytes(number):
    return {"image": bytes([number]) * (10 + number), "label": number}


def as_array(number):
    return {"image": np.full(10 + number, number, np.uint8), "label": number}


def layout(folder):
    index = json.loads(Path(folder, "index.json").read_text())
    chunk = Path(folder, index["chunks"][0]["filename"]).read_bytes()
    (count,) = struct.unpack("<I", chunk[:4])
    offsets = struct.unpack(f"<{count + 1}I", chunk[4 : 8 + 4 * count])
    return index["config"], chunk, offsets


if __name__ == "__main__":
    for name, make in (("bytes", as_bytes), ("array", as_array)):
        optimize(fn=make, inputs=list(range(8)), output_dir=name, chunk_bytes="64MB", num_workers=1)
    config, chunk, offsets = layout("bytes")
    _, _, of_arrays = layout("array")
    print("samples of bytes:", config["data_format"], config["item_loader"], "offsets", offsets, "of", len(chunk), "bytes")
    print("samples of arrays: offsets", of_arrays)
    assert len(set(of_arrays)) == 9, "arrays have no offsets either"
    assert len(set(offsets)) == 1 and chunk.endswith(b"LDARW01\0"), "samples of bytes have offsets now"
    assert config["data_format"] == ["bytes", "int"] and config["item_loader"] == "PyTreeLoader"
    assert StreamingDataset("bytes")[3]["image"] == bytes([3]) * 13
PYTHON
env/bin/python pack.py
