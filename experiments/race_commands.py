"""Compares whole commands with those of other projects, in turns: `python experiments/race_commands.py PEERS`.

- `fid`: the Fréchet Inception distance of two folders, beside pytorch-fid, torch-fidelity and clean-fid, which must be
  installed for ``--python``. The network's weights are random and the same for all, so the distances agree.
- `translate`: a folder of 256 px JPEGs by CycleGAN's generator of 9 blocks, beside the repository's test.py, whose
  checkout is pytorch-CycleGAN-and-pix2pix in PEERS. Both networks are untrained.
- `enlarge`: a folder of 120 px JPEGs four times, by SRResNet with 16 blocks, beside BasicSR's test.py; the same weights
  are in both.
- `esrgan`: the same by RRDBNet with 23 blocks, beside Real-ESRGAN's inference_realesrgan.py, of images of 80 px.

Each is a process of its own on one core; medians of wall seconds and of the peak of memory are compared.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import torch
from bench_inference import draw_photos
from measuring import random_inception
from race_rows import BASICSR, CYCLEGAN, REALESRGAN

from gan_lab.common.device import describe_hardware, versions

ROOT = Path(__file__).parents[1]
COPY = """
import sys
from unittest.mock import patch
import torch
from pytorch_fid import inception
own = torch.load(sys.argv[1])
with patch("pytorch_fid.inception.load_state_dict_from_url", lambda *_, **__: {}), \\
     patch("torch.nn.Module.load_state_dict"):
    network = inception.fid_inception_v3()
state = {key: own.get(key, value).reshape(value.shape) for key, value in network.state_dict().items()}
torch.save(state, sys.argv[2])
"""
"""Writes the weights of torch-fidelity's network in the layout of pytorch-fid's and clean-fid's."""
CLEAN_FID = """
import sys, torch
from cleanfid import fid
print(fid.compute_fid(*sys.argv[1:], mode="legacy_pytorch", device=torch.device("cpu"), use_dataparallel=False))
"""
GENERATOR = """
import sys, torch
sys.path.insert(0, sys.argv[1])
from models.networks import define_G
torch.save(define_G(3, 3, 64, "resnet_9blocks", "instance").state_dict(), sys.argv[2])
"""
"""Writes the untrained weights that test.py looks for."""
ENLARGING = """name: {name}
model_type: SRModel
scale: 4
num_gpu: 0
manual_seed: 0
datasets:
  test_1: {{name: drawn, type: SingleImageDataset, dataroot_lq: {photos}, io_backend: {{type: disk}}}}
network_g: {{type: MSRResNet, num_in_ch: 3, num_out_ch: 3, num_feat: 64, num_block: 16, upscale: 4}}
path: {{pretrain_network_g: {network}, strict_load_g: true}}
val: {{save_img: true, suffix: ~}}
"""
"""BasicSR's test_MSRResNet_x4_woGT.yml, with these images and without a GPU."""
TEST = """
import sys
sys.path.insert(0, "{checkout}")
from basicsr.test import test_pipeline
test_pipeline("{root}")
"""
NETWORK = """
import sys, torch, gan_lab
state = gan_lab.load(sys.argv[1]).averaged("network").state_dict()
torch.save({"params": state, "params_ema": state}, sys.argv[2])
"""
"""Writes the network of a checkpoint in the form of BasicSR's."""
INFERENCE = """
import runpy, sys
sys.path[:0] = {paths}
sys.argv[0] = {paths}[1] + "/inference_realesrgan.py"
runpy.run_path(sys.argv[0], run_name="__main__")
"""

Ways = Mapping[str, Callable[[int], Sequence[str]]]
"""Commands by program; an argument is the number of the round."""


def fid(folder: Path, _: Path, python: str, images: int) -> Ways:
    """Returns the commands that compare two folders. ``ours_warm`` has the features of the round before."""
    hub = Path(os.environ["TORCH_HOME"]) / "hub" / "checkpoints"
    hub.mkdir(parents=True)
    weights = random_inception(hub / "weights-inception-2015-12-05-6726825d.pth")
    both = [str(folder / name) for name in ("real", "fake")]
    for seed, name in enumerate(both):
        draw_photos(Path(name), images, seed)
    subprocess.run([python, "-c", COPY, str(weights), str(hub / "pt_inception-2015-12-05-6726825d.pth")], check=True)
    evaluate = [sys.executable, "-m", "gan_lab.evaluate", f"real={both[0]}", f"fake={both[1]}", "metrics=fid"]
    evaluate += ["device=cpu", "extractor=inception", f"extractor.inception.weights={weights}"]
    evaluate += ["extractor.inception._target_=race_inception.unchecked"]

    def cold(number: int) -> list[str]:
        shutil.rmtree(os.environ["GAN_LAB_CACHE"], ignore_errors=True)
        return [*evaluate, f"output={folder / f'cold{number}'}"]

    fidelity = [python, "-m", "torch_fidelity.fidelity", "--cpu", "--fid", "--no-cache"]
    fidelity += ["--input1", both[0], "--input2"]
    return {
        "pytorch-fid": lambda _: [python, "-m", "pytorch_fid", *both, "--device", "cpu"],
        "torch-fidelity": lambda _: [*fidelity, both[1]],
        "clean-fid": lambda _: [python, "-c", CLEAN_FID, *both],
        "ours": cold,
        "ours_warm": lambda number: [*evaluate, f"output={folder / f'warm{number}'}"],
    }


def translate(folder: Path, peers: Path, python: str, images: int) -> Ways:
    """Returns the commands that translate a folder."""
    checkout, photos = peers / CYCLEGAN, folder / "photos"
    draw_photos(photos, images)
    (folder / "checkpoints" / "race").mkdir(parents=True)
    file = folder / "checkpoints" / "race" / "latest_net_G.pth"
    subprocess.run([python, "-c", GENERATOR, str(checkout), str(file)], check=True, stdout=subprocess.DEVNULL)
    train(folder / "run", "model=cyclegan", "data=fake_unpaired", "data.size=256")
    test = [python, str(checkout / "test.py"), "--gpu_ids", "-1", "--model", "test", "--no_dropout", "--name", "race"]
    test += ["--checkpoints_dir", str(folder / "checkpoints"), "--dataroot", str(photos), "--preprocess", "none"]
    ours = [sys.executable, "-m", "gan_lab.translate", f"checkpoint={folder / 'run' / 'last.ckpt'}", f"input={photos}"]
    ours += ["direction=a2b", "device=cpu"]
    return {
        "test.py": lambda number: [*test, "--num_test", str(images), "--results_dir", str(folder / f"results{number}")],
        "ours": lambda number: [*ours, f"output={folder / f'ours{number}'}"],
        "ours_bf16": lambda number: [*ours, "precision=bf16", f"output={folder / f'bf16{number}'}"],
    }


def enlarge(folder: Path, peers: Path, python: str, images: int) -> Ways:
    """Returns the commands that enlarge a folder."""
    photos, network, ours = enlarging(folder, "srresnet", images, side=120)

    def test(number: int) -> list[str]:
        options = folder / f"options{number}.yml"
        options.write_text(ENLARGING.format(name=f"race{number}", photos=photos, network=network))
        return [python, "-c", TEST.format(checkout=peers / BASICSR, root=folder), "-opt", str(options)]

    return {"test.py": test, **ours}


def esrgan(folder: Path, peers: Path, python: str, images: int) -> Ways:
    """Returns the commands that enlarge a folder by a larger network."""
    photos, network, ours = enlarging(folder, "esrgan", images, side=80)
    paths = [str(peers / name) for name in (BASICSR, REALESRGAN)]
    theirs = [python, "-c", INFERENCE.format(paths=paths), "--fp32", "--model_path", str(network), "-i", str(photos)]
    return {"inference_realesrgan.py": lambda number: [*theirs, "-o", str(folder / f"theirs{number}")], **ours}


def enlarging(folder: Path, model: str, images: int, side: int) -> tuple[Path, Path, Ways]:
    """Writes images and a network; returns their paths, the latter as the peers read it, and our commands."""
    photos, network, checkpoint = folder / "photos", folder / "network.pth", folder / "run" / "last.ckpt"
    draw_photos(photos, images, side=side)
    train(folder / "run", f"model={model}", "damage.factor=4", "data.size=32", "data.count=20", "data.test_count=2")
    # in a process of its own: a program that is started counts the memory of this one
    subprocess.run([sys.executable, "-c", NETWORK, str(checkpoint), str(network)], check=True)
    ours = [sys.executable, "-m", "gan_lab.restore", f"checkpoint={checkpoint}", f"input={photos}", "device=cpu"]
    return photos, network, {
        "ours": lambda number: [*ours, f"output={folder / f'ours{number}'}"],
        "ours_bf16": lambda number: [*ours, "precision=bf16", f"output={folder / f'bf16{number}'}"],
    }  # fmt: skip


def train(run: Path, *overrides: str) -> None:
    """Writes a checkpoint of a network after one step."""
    command = [
        sys.executable,
        "-m",
        "gan_lab.train",
        *overrides,
        "trainer=cpu",
        "logger=none",
        "callbacks.fidelity=null",
    ]
    command += ["callbacks.samples=null", "budget.images=1", "budget.epochs=null", f"run_dir={run}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def measured(command: Sequence[str], core: int) -> dict[str, float]:
    """Runs a process; returns its wall seconds, and its peak of memory in GiB."""
    pinned = ["taskset", "-c", str(core)] if core >= 0 and shutil.which("taskset") else []
    path = {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'experiments'}"} if "gan_lab" in " ".join(command) else {}
    began = time.monotonic()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([*pinned, *command], stdout=log, stderr=log, env={**os.environ, **path})
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            log.seek(0)
            raise SystemExit(f"A command failed: {command}\n{log.read().decode()[-2000:]}")
    return {"seconds": time.monotonic() - began, "peak_gib": usage.ru_maxrss / 2**20}


def compared(ways: Ways, rounds: int, core: int) -> dict[str, Any]:
    """Returns the medians of each program."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    for number in range(rounds):
        for name, command in ways.items():
            found[name].append(measured(command(number), core))
    return {
        name: {key: round(statistics.median(run[key] for run in runs), 3) for key in runs[0]}
        for name, runs in found.items()
    }


ROWS: dict[str, Callable[[Path, Path, str, int], Ways]] = {
    "fid": fid, "translate": translate, "enlarge": enlarge, "esrgan": esrgan,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peers", type=Path)
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--python", default=sys.executable, help="runs the peers (default: this Python)")
    parser.add_argument(
        "--images", type=int, default=200, help="in a folder (default 200; a fifth of them is translated or enlarged)"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--core", type=int, default=0, help="the processor core; -1: any (default 0)")
    parser.add_argument("--output", type=Path, help="add the rows to this JSON file")
    arguments = parser.parse_args()
    known = json.loads(arguments.output.read_text()) if arguments.output and arguments.output.exists() else {}
    report = {"commands": known.get("commands", {})}
    for name in arguments.rows:
        with tempfile.TemporaryDirectory() as place:
            os.environ |= {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", "TORCH_HOME": f"{place}/torch"}
            os.environ["GAN_LAB_CACHE"] = f"{place}/cache"
            (Path(place) / "work").mkdir()
            count = arguments.images if name == "fid" else arguments.images // 5
            ways = ROWS[name](Path(place) / "work", arguments.peers.resolve(), arguments.python, count)
            report["commands"][name] = compared(ways, arguments.rounds, arguments.core) | {"images": count}
        print(name, json.dumps(report["commands"][name]), flush=True)
        made_by = {"hardware": describe_hardware(torch.device("cpu")), "versions": versions()}
        report |= {**made_by, "date": date.today().isoformat()}
        if arguments.output:
            arguments.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
