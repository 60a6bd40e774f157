"""Folders of runs and of a sweep, as the program would leave them behind."""

import csv
import json
import shutil

from PIL import Image

PROTOCOL = {"samples": 100, "real": 1617, "split": "train", "seed": 0, "ema": True,
            "extractors": {"grey": {"resizer": "bilinear", "sha256": "29dde5c99543" * 4}}}  # fmt: skip


PHASES = ("discriminator", "generator")


def measured(images, tier, figures):
    return json.dumps({"tier": tier, "images_seen": images, "figures": figures, "curves": {}, "protocol": PROTOCOL})


def make(folder, seed=0, method="dcgan", last=2.5):
    """A finished run of 500 images, as its callbacks would leave it behind."""
    (folder / "samples").mkdir(parents=True)
    config = {"name": f"{method}-digits", "method": method, "seed": seed, "data_kind": "image", "run_dir": str(folder)}
    config |= {"data": {"name": "digits", "size": 32, "seed": seed}, "logger": {"folder": f"{folder}/x"}}
    (folder / "config.json").write_text(json.dumps(config))
    told = {"state": "finished", "time": "2026-11-22T08:00:00", "images_seen": 500, "iteration": 50, "seconds": 61.0}
    told |= {"figures": {"quick_fd_grey": 3.0, "fd_grey": last, "nan": None}}
    (folder / "run.json").write_text(json.dumps({**told, "best": {"name": "quick_fd_grey", "value": 3.0}}))
    with (folder / "metrics.csv").open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        phases = (f"train/{phase}/{term}" for phase in PHASES for term in ("adversarial", "grad_norm"))
        table.writerow(["images", *phases, "perf/images_per_second"])
        for i in range(1, 51):
            table.writerow([10 * i, 1 / i, 2.0, "nan" if i == 7 else 1.25 + i, 1e3 if i == 9 else 1.0, ""])
    lines = [measured(250, "quick", {"quick_fd_grey": 3.0}), measured(500, "quick", {"quick_fd_grey": 4.0})]
    final = measured(500, "final", {"fd_grey": last, "fd_grey_error": 0.125, "fd_grey_gaussian": 18.5})
    (folder / "metrics.jsonl").write_text("\n".join([*lines, final]) + "\n")
    for images in (0, 250, 500):
        Image.new("RGB", (24, 16), (images // 2, 30, 90)).save(folder / "samples" / f"{images:09d}.png")
    shutil.copyfile(folder / "samples" / "000000500.png", folder / "samples.png")
    (folder / "last.ckpt").write_bytes(b"")
    return folder


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def told(folder, **changes):
    """Writes the changes into ``run.json``; None takes a key out."""
    kept = {**json.loads((folder / "run.json").read_text()), **changes}
    (folder / "run.json").write_text(json.dumps({key: value for key, value in kept.items() if value is not None}))
