"""A segmenter that is trained on photographs and their label maps, and what it finds in other images."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.common.bounds import Natural, PositiveInt, Seed
from gan_lab.common.images import to_float
from gan_lab.common.progress import track
from gan_lab.evaluation.statistics import Statistic

MakeSegmenter = Callable[[int, int], nn.Module]
"""Maps channels and classes to a network: images (N, C, H, W) in [-1, 1] → logits (N, K, H, W)."""

RATE = 2e-3
BRIGHTNESS = 0.2
"""Images are multiplied by 1 - 0.2 to 1 + 0.2 in training."""


def train_segmenter(
    make: MakeSegmenter,
    images: Tensor,
    classes: Tensor,
    labels: PositiveInt,
    steps: Natural,
    batch_size: PositiveInt = 8,
    seed: Seed = 0,
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> nn.Module:
    """Trains by AdamW, with a rate that falls to 0, and random mirroring; the global random state is left alone.

    Classes are weighted by the square root of the median class frequency over their own (after Badrinarayanan et al.
    2017, SegNet, section 4). Otherwise rare classes would not be learnt.

    Args:
        make: makes the network.
        images: uint8 (N, C, H, W).
        classes: of their pixels, int64 (N, H, W); K for pixels without a class.
        labels: K.
        steps: optimizer steps; 0 leaves the network as it is made.
        batch_size: images of a step.
        seed: of weights and batches.
        device: the device to train on.
        progress: shows a progress bar.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed GPUs as well
        network = make(images.shape[1], labels).to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    weight, random = class_weights(classes, labels).to(device), torch.Generator().manual_seed(seed)
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad] if steps else []
    optimizer = torch.optim.AdamW(parameters, RATE) if parameters else None
    with torch.enable_grad():
        for step in track(range(steps), "training a segmenter", steps, progress):
            assert optimizer is not None
            optimizer.param_groups[0]["lr"] = RATE * (1 - step / steps)
            shown, truth = (each.to(device) for each in _batch(images, classes, batch_size, random))
            optimizer.zero_grad()
            truth = truth.where(truth < labels, -100)
            F.cross_entropy(network(shown), truth, weight, ignore_index=-100).backward()
            optimizer.step()
    return network.eval()


def class_weights(classes: Tensor, labels: int) -> Tensor:
    """Returns the weight of each of K classes, (K,), given the classes of pixels (…), K for those without one."""
    counts = torch.bincount(classes.flatten(), minlength=labels + 1)[:labels].float()
    present = counts[counts > 0]
    return (present.median() / counts.clamp(min=1)).sqrt() if len(present) else torch.ones(labels)


def _batch(images: Tensor, classes: Tensor, size: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    rows = torch.randint(len(images), (size,), generator=random)
    shown, truth = to_float(images[rows]), classes[rows]
    if torch.rand((), generator=random) < 0.5:
        shown, truth = shown.flip(3), truth.flip(2)
    brightness = 1 - BRIGHTNESS + 2 * BRIGHTNESS * torch.rand(size, 1, 1, 1, generator=random)
    return (shown * brightness).contiguous(memory_format=torch.channels_last), truth


class Confusion(Statistic[Tensor]):
    """Counts pixels by their class and by the class that was found, exact over ranks.

    Args:
        labels: K.
    """

    table: Tensor

    def __init__(self, labels: PositiveInt) -> None:
        super().__init__(labels)
        self.labels = labels
        self.add_sum_state("table", labels, labels, dtype=torch.int64)

    def accumulate(self, values: Tensor, index: Tensor) -> None:
        """Adds pixels (m, 2, H, W) of the images with the numbers ``index`` (m,): their class, K for none, and the
        class that was found.
        """
        truth, found = values.unbind(1)
        pairs = (truth * self.labels + found)[truth < self.labels]
        self.table += torch.bincount(pairs, minlength=self.labels**2).view(self.labels, self.labels)

    def compute(self) -> Tensor:
        """Returns the numbers of pixels, int64 (K, K), by class and by the class that was found (collective)."""
        return self.table


def overlaps(table: Tensor) -> Tensor:
    """Returns the intersection over union of each class, float64 (K,), NaN if no pixel has it, given ``Confusion``,
    (K, K).
    """
    table = table.double()
    hits, truth, found = table.diag(), table.sum(1), table.sum(0)
    return (hits / (truth + found - hits)).where(truth > 0, torch.nan)


def pixel_accuracy(table: Tensor) -> float:
    """Returns the share of the pixels with a class for which it was found, given ``Confusion``, (K, K)."""
    return float(table.diag().sum() / table.sum())
