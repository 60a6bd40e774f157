"""A history of generated pictures for the critic (Shrivastava et al. 2017, section 2.3)."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.functional import pad

from gan_lab.common.types import RandomStream


class ImagePool:
    """Shows the critic, half of the time, a picture made earlier in place of the newest, which is kept in its stead.

    Pictures are taken in the order of the global batch, and every rank keeps the same ones: a run is the same on any
    number of ranks (micro-batch by micro-batch where there are several), and one rank's state is everybody's.

    Args:
        size: pictures kept (50 in the paper and in CycleGAN); 0 shows the newest always.
    """

    def __init__(self, size: int = 50) -> None:
        self.size = size
        self.images: list[Tensor] = []

    def query(self, images: Tensor, noise: RandomStream) -> Tensor:
        """Pictures (n, C, H, W) just made, without graph → as many to show; a collective."""
        if self.size == 0:
            return images
        n, host = len(images), noise.on_host()
        coins, slots = host.uniform(n), host.integers(n, self.size)
        if _is_distributed():
            coins, slots = (_of_all_ranks(numbers.to(images.device)) for numbers in (coins, slots))
        everybodys = _pictures_of_all_ranks(images) if _is_distributed() else images
        shown = [self._exchange(*each) for each in zip(everybodys, coins.tolist(), slots.tolist(), strict=True)]
        rank = dist.get_rank() if _is_distributed() else 0
        return torch.stack(shown[rank * n : (rank + 1) * n])

    def _exchange(self, image: Tensor, coin: float, slot: int) -> Tensor:
        if len(self.images) < self.size:
            self.images.append(image.clone())
            return image
        if coin < 0.5:
            return image
        self.images[slot], old = image.clone(), self.images[slot]
        return old.to(image.device)

    def state_dict(self) -> dict[str, Any]:
        return {"images": list(self.images)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.images = list(state_dict["images"])


def _is_distributed() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def _pictures_of_all_ranks(images: Tensor) -> list[Tensor]:
    """The same number from each rank, whose pictures (n, C, H, W) may be of other sizes, in the order of the ranks."""
    sizes = _of_all_ranks(torch.tensor([images.shape[2:]], device=images.device))
    high, wide = sizes.amax(0).tolist()
    padded = _of_all_ranks(pad(images, (0, wide - images.shape[3], 0, high - images.shape[2])))
    each = sizes.repeat_interleave(len(images), 0).tolist()
    return [image[:, :h, :w] for image, (h, w) in zip(padded, each, strict=True)]


def _of_all_ranks(values: Tensor) -> Tensor:
    """Equal shapes (n, …) from all ranks, in their order: (n · ranks, …)."""
    parts = [torch.empty_like(values) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, values.contiguous())
    return torch.cat(parts)
