"""Measures what a second process gains: `python experiments/scaling.py`.

Compares images per second of DCGAN at 64×64×3 with one and with two CPU processes of one thread each, which share a
batch of 64. Runs alternate, and medians are compared.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

COMMAND = ["data=fake", "data.channels=3", "data.size=64", "logger=none", "callbacks.samples=null",
           "callbacks.fidelity=null", "callbacks.throughput.every=640", "precision=32-true"]  # fmt: skip


def speed(devices: int, images: int, folder: Path) -> dict[str, Any]:
    """Returns the record of a run with this number of processes."""
    record = folder / "record.json"
    command = [f"budget.images={images}", "budget.epochs=null", f"trainer.devices={devices}", f"runs={folder}"]
    subprocess.run(
        [sys.executable, "-m", "gan_lab.train", *COMMAND, "trainer.accelerator=cpu", *command, f"record={record}"],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True,
    )  # fmt: skip
    return json.loads(record.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1280)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--record", type=Path)
    options = parser.parse_args()
    speeds: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.turns):
            for devices, found in speeds.items():
                result = speed(devices, options.images, Path(folder))
                found.append(result["throughput"]["images_per_second"])
    alone, pair = (statistics.median(found) for found in speeds.values())
    scaling = {"one": round(alone, 1), "two": round(pair, 1), "over_ideal": round(pair / (2 * alone), 3)}
    made_by = {key: result[key] for key in ("precision", "hardware", "versions")} | {"date": date.today().isoformat()}
    content = {"scaling": {"dcgan": scaling}, **made_by}
    print(json.dumps(content, indent=1))
    if options.record:
        options.record.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
