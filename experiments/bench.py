"""Compares the speed of gan_lab with bare PyTorch loops, in one interleaved run, by medians (`make bench`).

- `dcgan`: DCGAN at 64×64×3, batch size 64. `cyclegan`: CycleGAN at 128 px, batch size 1. `sngan` and `r3gan`: narrow
  networks at 32×32×3, batch size 64, one discriminator step for each generator step, without augmentation.
- Each is compared with (a) a bare loop of the same precision and memory layout, which shows what the framework costs.
  The first two are also compared with (b) a bare float32 loop as in the public implementation, which shows what
  gan_lab's defaults gain.
- `data`: an epoch over cached pixels, against torchvision's ImageFolder, which decodes every image in every epoch.
- `frechet` and `inception`: the Fréchet distance in 2,048 dimensions and Inception's forward pass in fp32, against
  torchmetrics.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import bare
import measuring
import numpy as np
import torch
from lightning.pytorch import Callback
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from gan_lab.cli.config.checks import validate
from gan_lab.cli.config.compose import compose, resolve
from gan_lab.common.device import auto_precision, describe_hardware
from gan_lab.common.instantiate import instantiate
from gan_lab.training.run_config import RunConfig
from gan_lab.training.trainer import make_trainer

SIZE, BATCH, NARROW = 64, 64, 16
SMALL = ["data=fake", "data.channels=3", "data.size=32", f"batch_size={BATCH}"]


class Interleave(Callback):
    """Runs one step of each other loop after each iteration; an iteration includes data, step and Lightning's work."""

    def __init__(self, others: dict[str, Callable[[], None]], device: torch.device) -> None:
        self.others, self.device = others, device
        self.seconds: dict[str, list[float]] = {name: [] for name in ("ours", *others)}
        self.mark = 0.0

    def now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def on_train_batch_end(self, *_: Any) -> None:
        self.seconds["ours"].append(self.now() - self.mark)
        for name, step in self.others.items():
            began = self.now()
            step()
            self.seconds[name].append(self.now() - began)
        self.mark = self.now()


Others = Callable[[dict[str, Any]], dict[str, bare.Step]]


def race(
    overrides: Sequence[str], others: Others, batch: int, iterations: int, device: torch.device, warm_up: int = 5
) -> dict[str, float]:
    """Returns images per second of gan_lab's training with these overrides, and of the bare loops."""
    config = compose([
        *overrides, "logger=none", f"budget.images={(iterations + warm_up) * batch}", "budget.epochs=null",
        f"trainer.accelerator={device.type}", "callbacks=none", "run_dir=.",
    ])  # fmt: skip
    validate(config)
    plain = resolve(config)
    interleave = Interleave(others(plain), device)
    trainer, _ = make_trainer(RunConfig.of(plain))
    trainer.callbacks.append(interleave)  # type: ignore[attr-defined]
    trainer.fit(instantiate(plain["model"]), datamodule=instantiate(plain["data"]))
    return {name: batch / statistics.median(times[warm_up:]) for name, times in interleave.seconds.items()}


def dcgan(iterations: int, device: torch.device) -> dict[str, float]:
    def others(plain: dict[str, Any]) -> dict[str, bare.Step]:
        same = bare.DCGANAsOurs(device, BATCH, bf16=plain["precision"].startswith("bf16"))
        return {"same": same, "example": bare.DCGANExample(device, BATCH)}

    overrides = ["model=dcgan", "data=fake", "data.channels=3", f"data.size={SIZE}", f"batch_size={BATCH}"]
    return race(overrides, others, BATCH, iterations, device)


def cyclegan(iterations: int, device: torch.device, compiled: bool = False) -> dict[str, float]:
    """Returns images per second of CycleGAN; ``compiled`` compiles all networks but those of the published loop."""

    def loop(layout: torch.memory_format, bf16: bool, compiles: bool) -> bare.CycleGAN:
        networks = bare.cyclegan_networks()
        for network in networks:
            network.to(device).to(memory_format=layout)
            if compiles:
                network.compile()
        return bare.CycleGAN(networks, partial(pair, device, layout), bf16)

    def others(plain: dict[str, Any]) -> dict[str, bare.Step]:
        layout = torch.channels_last if plain["model"]["engine"]["channels_last"] else torch.contiguous_format
        same = loop(layout, plain["precision"].startswith("bf16"), compiled)
        return {"same": same, "example": loop(torch.contiguous_format, bf16=False, compiles=False)}

    overrides = ["model=cyclegan", "data=fake_unpaired", "data.size=128", f"compile={str(compiled).lower()}"]
    return race(overrides, others, 1, iterations, device)


def sngan(iterations: int, device: torch.device) -> dict[str, float]:
    def others(plain: dict[str, Any]) -> dict[str, bare.Step]:
        return {"same": bare.SNGAN(device, BATCH, plain["precision"].startswith("bf16"), NARROW)}

    narrow = [f"model.generator.base={NARROW}", f"model.discriminator.base={NARROW}", "loss.n_critic=1"]
    return race(["model=sngan", *SMALL, *narrow], others, BATCH, iterations, device)


def r3gan(iterations: int, device: torch.device) -> dict[str, float]:
    def others(plain: dict[str, Any]) -> dict[str, bare.Step]:
        return {"same": bare.R3GAN(device, BATCH, plain["precision"].startswith("bf16"), 2 * NARROW)}

    narrow = [f"model.generator.widths={2 * NARROW}", "model.augment.diff=null"]
    return race(["model=r3gan", *SMALL, *narrow], others, BATCH, iterations, device)


def pair(device: torch.device, layout: torch.memory_format) -> tuple[Tensor, Tensor]:
    a, b = (torch.rand(1, 3, 128, 128, device=device).mul(2).sub(1).to(memory_format=layout) for _ in range(2))
    return a, b


def data(images: int, epochs: int) -> dict[str, float]:
    """Returns seconds per epoch over cached pixels and over ImageFolder, for 256×256 JPEGs resized to 64×64."""
    with tempfile.TemporaryDirectory() as root:
        draw_images(Path(root) / "train" / "all", images)
        ours = instantiate(resolve(compose([
            "model=dcgan", "data=folder", f"data.root={root}", f"data.size={SIZE}", f"data.cache_dir={root}/cache",
        ]))["data"])  # fmt: skip
        ours.prepare_data()
        ours.setup("fit")
        cached = ours.train_dataloader()
        change = v2.Compose([v2.ToImage(), v2.Resize(SIZE), v2.CenterCrop(SIZE), v2.ToDtype(torch.float32, scale=True)])
        folder = DataLoader(ImageFolder(f"{root}/train", change), BATCH, shuffle=True, drop_last=True)
        per_epoch = cached.per_epoch
        loaders = {"cached": cached, "image_folder": folder}
        seconds: dict[str, list[float]] = {name: [] for name in loaders}
        for _ in range(epochs):
            for name, loader in loaders.items():
                began = time.perf_counter()
                for _batch in islice(loader, per_epoch):
                    pass
                seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(times) for name, times in seconds.items()}


def draw_images(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    noise = np.random.default_rng(0)
    for i in range(count):
        small = Image.fromarray(noise.integers(0, 256, (16, 16, 3), dtype=np.uint8))
        small.resize((256, 256), Image.Resampling.BICUBIC).save(folder / f"{i:05d}.jpg", quality=90)


def speed(found: dict[str, float]) -> dict[str, Any]:
    ratios = {f"ours_over_{name}": round(found["ours"] / value, 3) for name, value in found.items() if name != "ours"}
    return {"images_per_second": {name: float(f"{value:.3g}") for name, value in found.items()}, **ratios}


def epoch(found: dict[str, float]) -> dict[str, Any]:
    return {
        "seconds_per_epoch": {name: round(value, 4) for name, value in found.items()},
        "image_folder_over_cached": round(found["image_folder"] / found["cached"], 1),
    }


def times(found: dict[str, float]) -> dict[str, Any]:
    """Returns seconds, and how many times faster than torchmetrics gan_lab is."""
    reference = found["torchmetrics"]
    ratios = {f"{name}_faster": round(reference / value, 2) for name, value in found.items() if name != "torchmetrics"}
    return {"seconds": {name: float(f"{value:.3g}") for name, value in found.items()}, **ratios}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "what",
        nargs="*",
        default=["dcgan", "cyclegan", "sngan", "r3gan", "data", "frechet", "inception"],
        help="default: all",
    )
    parser.add_argument("--iterations", type=int, default=40, help="iterations of each loop (default 40)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--compile",
        action="store_true",
        help="cyclegan: compile gan_lab's networks and those of the loop of equal precision",
    )
    parser.add_argument("--images", type=int, default=1000, help="images in the folder of `data` (default 1000)")
    parser.add_argument("--output", type=Path, help="also write the result as JSON")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    report: dict[str, Any] = {
        "hardware": describe_hardware(device), "precision": auto_precision(device.type), "torch": torch.__version__,
    }  # fmt: skip
    races: dict[str, Callable[[], dict[str, Any]]] = {
        "dcgan": lambda: speed(dcgan(arguments.iterations, device)),
        "cyclegan": lambda: speed(cyclegan(arguments.iterations, device, arguments.compile)),
        "sngan": lambda: speed(sngan(arguments.iterations, device)),
        "r3gan": lambda: speed(r3gan(arguments.iterations, device)),
        "data": lambda: epoch(data(arguments.images, epochs=3)),
        "frechet": lambda: times(measuring.frechet()),
        "inception": lambda: times(measuring.inception()),
    }
    for name in arguments.what:
        report[name] = races[name]()
    print(json.dumps(report, indent=1))
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
