"""History of generated images for the discriminator (Shrivastava et al. 2017, section 2.3)."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from gan_lab.common.bounds import PositiveInt
from gan_lab.common.distributed import rank_and_world_size
from gan_lab.common.types import RandomStream
from gan_lab.training.collectives import gather_rows


class ImagePool:
    """Pool of generated images: with probability ½ an older image takes the place of a new one, which enters the pool.

    Images are taken in the order of the global batch, and every rank keeps the same ones. A run is therefore the same
    on any number of ranks (micro-batch by micro-batch if there are several), and the state of one rank is that of all.

    Args:
        size: number of images kept (50 in the paper and in CycleGAN); 0 always returns the new ones.
    """

    def __init__(self, size: PositiveInt = 50) -> None:
        self.size = size
        self.images: list[Tensor] = []

    def query(self, images: Tensor, noise: RandomStream) -> Tensor:
        """Returns images (n, C, H, W) for the discriminator, given as many new ones without graph. Collective."""
        if self.size == 0:
            return images
        n, host = len(images), noise.on_host()
        coins, slots = host.uniform(n), host.integers(n, self.size)
        rank, world = rank_and_world_size()
        if world > 1:
            coins, slots = gather_rows(coins.to(images.device)), gather_rows(slots.to(images.device))
        rows = zip(gather_images(images), coins.tolist(), slots.tolist(), strict=True)
        chosen = [self._exchange(*row) for row in rows]
        return torch.stack(chosen[rank * n : (rank + 1) * n])

    def _exchange(self, image: Tensor, coin: float, slot: int) -> Tensor:
        if len(self.images) < self.size:
            self.images.append(image.clone())
            return image
        if coin < 0.5:
            return image
        self.images[slot], old = image.clone(), self.images[slot]
        return old.to(image.device)

    def state_dict(self) -> dict[str, list[Tensor]]:
        return {"images": list(self.images)}

    def load_state_dict(self, state_dict: dict[str, list[Tensor]]) -> None:
        self.images = list(state_dict["images"])


def gather_images(images: Tensor) -> list[Tensor]:
    """Returns the images (C, H, W) of all ranks in their order, given (n, C, H, W) of this rank. Collective.

    Every rank gives the same number; their sizes may differ.
    """
    if rank_and_world_size()[1] == 1:
        return list(images)
    sizes = gather_rows(torch.tensor([images.shape[2:]], device=images.device))
    height, width = sizes.amax(0).tolist()
    padded = gather_rows(pad(images, (0, width - images.shape[3], 0, height - images.shape[2])))
    size_of_each = sizes.repeat_interleave(len(images), 0).tolist()
    return [image[:, :h, :w] for image, (h, w) in zip(padded, size_of_each, strict=True)]
