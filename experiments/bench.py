"""Speed as ratios of one run: ours and bare PyTorch loops take turns, and medians are compared (`make bench`).

Training: DCGAN at 64×64×3, batch 64. (a) A bare loop with the same precision, memory layout and shared generator
forward: what the framework costs. (b) A bare float32 loop in the manner of PyTorch's DCGAN example: what our defaults
gain. Data: an epoch over cached pixels against torchvision's ImageFolder, which decodes every picture in every epoch.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, softplus
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from gan_lab.build import build
from gan_lab.machine import auto_precision, hardware
from gan_lab.networks.dcgan import Discriminator, Generator
from gan_lab.runtime import compose, make_trainer, resolve, settle

SIZE, BATCH, LATENT = 64, 64, 100


class Bare:
    """A DCGAN without a framework: two networks, two Adams, a batch of real pictures."""

    def __init__(self, device: torch.device, layout: torch.memory_format) -> None:
        self.device = device
        self.g = Generator(LATENT, 3, SIZE, SIZE).to(device, memory_format=layout)
        self.d = Discriminator(3, SIZE, SIZE).to(device, memory_format=layout)
        self.g_optimizer, self.d_optimizer = adam(self.g), adam(self.d)
        self.real = torch.rand(BATCH, 3, SIZE, SIZE, device=device).mul(2).sub(1).to(memory_format=layout)

    def latents(self) -> Tensor:
        return torch.randn(BATCH, LATENT, device=self.device)


class Same(Bare):
    """(a) Precision, layout and shared forward as ours."""

    def __init__(self, device: torch.device, precision: str) -> None:
        super().__init__(device, torch.channels_last)
        self.bf16 = precision.startswith("bf16")

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def __call__(self) -> None:
        with self.autocast():
            fake = self.g(self.latents())
            loss = softplus(-self.d(self.real).float()).mean() + softplus(self.d(fake.detach()).float()).mean()
        self.d_optimizer.zero_grad()
        loss.backward()
        self.d_optimizer.step()
        self.d.requires_grad_(False)
        with self.autocast():
            loss = softplus(-self.d(fake).float()).mean()
        self.g_optimizer.zero_grad()
        loss.backward()
        self.g_optimizer.step()
        self.d.requires_grad_(True)


class Example(Bare):
    """(b) float32, contiguous, real and fake backward one after the other, gradients of D left on in G's turn."""

    def __init__(self, device: torch.device) -> None:
        super().__init__(device, torch.contiguous_format)

    def loss(self, images: Tensor, label: float) -> Tensor:
        logits = self.d(images)
        return binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))

    def __call__(self) -> None:
        self.d.zero_grad()
        self.loss(self.real, 1.0).backward()
        fake = self.g(self.latents())
        self.loss(fake.detach(), 0.0).backward()
        self.d_optimizer.step()
        self.g.zero_grad()
        self.loss(fake, 1.0).backward()
        self.g_optimizer.step()


def adam(network: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(network.parameters(), 2e-4, (0.5, 0.999))


class Interleave(Callback):
    """After each of our iterations the others have one each; ours spans data, step, and all of Lightning between."""

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


def training(iterations: int, device: torch.device, warm_up: int = 5) -> dict[str, float]:
    """Images per second of ours and of the two bare loops."""
    images = (iterations + warm_up) * BATCH
    config = compose([
        "model=dcgan", "data=fake", "data.channels=3", f"data.size={SIZE}", f"batch_size={BATCH}", "logger=none",
        f"budget.images={images}", "budget.epochs=null", f"trainer.accelerator={device.type}",
        "callbacks=none", "run_dir=.",
    ])  # fmt: skip
    settle(config)
    plain = resolve(config)
    others = {"same": Same(device, plain["precision"]), "example": Example(device)}
    interleave = Interleave(others, device)
    trainer, _ = make_trainer(plain)
    trainer.callbacks.append(interleave)  # type: ignore[attr-defined]
    trainer.fit(build(plain["model"]), datamodule=build(plain["data"]))
    return {name: BATCH / statistics.median(times[warm_up:]) for name, times in interleave.seconds.items()}


def data(pictures: int, epochs: int) -> dict[str, float]:
    """Seconds of an epoch over cached pixels and over ImageFolder, of 256×256 JPEGs brought to 64×64."""
    with tempfile.TemporaryDirectory() as root:
        draw_pictures(Path(root) / "train" / "all", pictures)
        ours = build(resolve(compose([
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


def draw_pictures(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    noise = np.random.default_rng(0)
    for i in range(count):
        small = Image.fromarray(noise.integers(0, 256, (16, 16, 3), dtype=np.uint8))
        small.resize((256, 256), Image.Resampling.BICUBIC).save(folder / f"{i:05d}.jpg", quality=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=40, help="of each loop, taken in turns (default 40)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--pictures", type=int, default=1000, help="in the folder that is read (default 1000)")
    parser.add_argument("--output", type=Path, help="also write the figures as JSON")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    speed, epoch = training(arguments.iterations, device), data(arguments.pictures, epochs=3)
    report = {
        "hardware": hardware(device),
        "precision": auto_precision(device.type),
        "torch": torch.__version__,
        "images_per_second": {name: round(value, 1) for name, value in speed.items()},
        "ours_over_same": round(speed["ours"] / speed["same"], 3),
        "ours_over_example": round(speed["ours"] / speed["example"], 3),
        "seconds_per_epoch": {name: round(value, 4) for name, value in epoch.items()},
        "image_folder_over_cached": round(epoch["image_folder"] / epoch["cached"], 1),
    }
    print(json.dumps(report, indent=1))
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
