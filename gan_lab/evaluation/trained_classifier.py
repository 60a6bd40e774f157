"""A small classifier that is trained on images in seconds, and what it finds in others."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.common.images import to_float
from gan_lab.common.progress import track
from gan_lab.common.stopping import in_rounds
from gan_lab.evaluation.features.extractors import resize
from gan_lab.networks.classifier import Classifier

Labelled = tuple[Tensor, Tensor]
"""Images uint8 (N, C, H, W) and their classes (N,)."""

BATCH, SIZE, RATE, WIDTHS = 128, 32, 2e-3, (16, 32, 64, 128)


def train_classifier(
    images: Labelled, classes: int, steps: int, seed: int, device: torch.device | str, progress: bool = False
) -> nn.Module:
    """Trains a classifier by AdamW with one cycle of the learning rate; the global random state is left alone.

    Args:
        images: images uint8 (N, C, H, W) and their classes (N,).
        classes: K.
        steps: the number of optimizer steps.
        seed: seed of weights and batches.
        device: the device to train on.
        progress: show a progress bar.
    """
    pixels, labels = images
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed GPUs as well
        network = Classifier(pixels.shape[1], classes, WIDTHS).to(device).train()
    network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    order = torch.Generator().manual_seed(seed)
    with torch.enable_grad():
        for _ in in_rounds(track(range(steps), "training a classifier", steps, progress)):
            rows = torch.randint(len(pixels), (BATCH,), generator=order)
            logits = network(_network_input(pixels[rows].to(device)))[1]
            optimizer.zero_grad()
            F.cross_entropy(logits, labels[rows].to(device)).backward()
            optimizer.step()
            schedule.step()
    return network.eval()


@torch.no_grad()
def classified(network: nn.Module, images: Tensor) -> Tensor:
    """Returns the most probable classes, int64 (N,), on the CPU, of images uint8 (N, C, H, W) on any device."""
    device = next(network.parameters()).device
    parts = [network(_network_input(part.to(device)))[1].argmax(1).cpu() for part in images.split(1024)]
    return torch.cat(parts)


def accuracy(network: nn.Module, test: Labelled) -> float:
    """Returns the share of test images that the network classifies correctly."""
    return int((classified(network, test[0]) == test[1]).sum()) / len(test[1])


def _network_input(images: Tensor) -> Tensor:
    resized = to_float(resize(images, SIZE))
    return resized.contiguous(memory_format=torch.channels_last)  # twice as fast on a CPU
