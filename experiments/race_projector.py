"""Compares inversion with rosinality's projector.py, in turns: `python experiments/race_projector.py PEERS`.

Both find the styles and the noise of 8 images of 64 px in one batch, with the same number of layers and maps, 64 styles
and the same perceptual distance, EfficientNet's. The generators are untrained. The projector runs as published, but on
the CPU, with narrower networks and that distance in the place of LPIPS. A step is one of Adam's; see race.py.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from race import MARKS, ROOT, WARM_UP, Side, seconds_within, summary, take_turns

from gan_lab.common.device import describe_hardware, versions

IMAGES, SIDE, STEPS = 8, 64, 100_000
THEIRS = f"""import sys, types
from pathlib import Path
import torch
import torch.utils.cpp_extension
from gan_lab.evaluation.features.perceptual import GeneralDistance

torch.utils.cpp_extension.load = lambda *_, **__: None  # their own operators for GPUs; the CPU's are in Python
place, *files = sys.argv[1:]
sys.path.insert(0, place)
model = types.ModuleType("model")
narrow = Path(place, "model.py").read_text().replace(": 512,", ": 64,").replace("64: 256 *", "64: 32 *")
exec(compile(narrow, "model.py", "exec"), model.__dict__)
torch.save({{"g_ema": model.Generator({SIDE}, 64, 8).state_dict()}}, "random.pt")
sys.modules["model"] = model
sys.modules["lpips"] = types.SimpleNamespace(PerceptualLoss=lambda **_: GeneralDistance())
sys.argv = ["projector.py", "--ckpt", "random.pt", "--size", "{SIDE}", "--step", "{STEPS}", *files]
code = Path(place, "projector.py").read_text().replace('device = "cuda"', 'device = "cpu"').replace("512", "64")
exec(compile(code, "projector.py", "exec"), {{"__name__": "__main__"}})
"""
OURS = f"""import sys
import torch
from functools import partial
from torch import nn
from gan_lab.data.reading.examples import pictures_in
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.evaluation.features.perceptual import GeneralDistance
from gan_lab.inference.inversion import Likeness, invert
from gan_lab.inference.spaces import space_of
from gan_lab.losses.adversarial import NonSaturating
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.models.bases.latents import Normal
from gan_lab.models.stylegan2 import StyleGAN2
from gan_lab.networks.stylegan2 import Generator
from pathlib import Path

generator = Generator(64, 3, {SIDE}, {SIDE}, base=64 * {SIDE}, most=64, style=64, mapping_layers=8)
objective, adam = AdversarialObjective(NonSaturating()), torch.optim.Adam
model = StyleGAN2(generator, nn.Linear(1, 1), Normal(64), objective, adam, adam)
images = pictures_in(Path(sys.argv[1]), "images", ResizeSpec(({SIDE}, {SIDE}), ({SIDE}, {SIDE}), 3))
likeness = Likeness(GeneralDistance(), pixel=0.0)
invert(space_of(model.eval(), "w"), images, {STEPS}, likeness=likeness, noise_weight=1e5)
"""


def race(peers: Path, python: str, turns: int, seconds: float, core: int | None) -> dict[str, Any]:
    """Returns steps of images a second, seconds to the first step and peaks of both, and the ratio."""
    running: dict[str, Side] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "images").mkdir()
        for number in range(IMAGES):
            shades = Image.effect_mandelbrot((SIDE, SIDE), (-2 + number / 8, -1, 1, 1), 50)
            shades.convert("RGB").save(folder / "images" / f"{number}.png")
        files = [str(path) for path in sorted((folder / "images").iterdir())]
        env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join((str(MARKS), str(ROOT)))}
        commands = {"peer": [python, "-c", THEIRS, str(peers / "stylegan2-pytorch"), *files],
                    "ours": [sys.executable, "-c", OURS, str(folder / "images")]}  # fmt: skip
        try:
            first = {}
            for name, command in commands.items():
                side = running[name] = Side(command, folder / name, env, core)
                side.wait_for(1 + WARM_UP)
                side.send(signal.SIGSTOP)
                first[name] = side.marks()[0] - side.began
            took = take_turns(running, turns, seconds)
            found = {
                name: {"seconds": seconds_within(side.marks(), took[name]), "peak": side.peak(), "first": first[name]}
                for name, side in running.items()
            }
        finally:
            for side in running.values():
                side.end()
    return summary(found, IMAGES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peers", type=Path, help="folder with a checkout of stylegan2-pytorch, rosinality's")
    parser.add_argument("--python", default=sys.executable, help="that the projector runs with")
    parser.add_argument("--turns", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=4.0, help="of a turn")
    parser.add_argument("--core", type=int, default=None)
    parser.add_argument("--record", type=Path, default=None)
    arguments = parser.parse_args()
    found = race(arguments.peers.absolute(), arguments.python, arguments.turns, arguments.seconds, arguments.core)
    facts = {
        "images": IMAGES,
        "size": SIDE,
        "date": str(date.today()),
        "hardware": describe_hardware(torch.device("cpu")),
        "versions": versions(),
    }
    record = {**facts, "race": found}
    print(json.dumps(record, indent=1))
    if arguments.record:
        arguments.record.write_text(json.dumps({"projector": record}, indent=1) + "\n")


if __name__ == "__main__":
    main()
