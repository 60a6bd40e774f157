"""Images of a split that ranks take in turn, for metrics that query a model with them."""

from collections.abc import Iterator

from torch import Tensor

from gan_lab.common.capabilities import RealImages
from gan_lab.common.distributed import rank_and_world_size
from gan_lab.common.progress import track
from gan_lab.common.stopping import in_rounds
from gan_lab.data.subsets import evenly_spaced


def shared_parts(
    data: RealImages, split: str, n: int, size: int, description: str, progress: bool = True
) -> Iterator[tuple[int, Tensor]]:
    """Yields this rank's parts of n evenly spaced images, uint8 (m, C, H, W), with the number of their first image.

    Args:
        data: the images.
        split: "train", "test" or "whole".
        n: number of images over all ranks.
        size: images in a part at most; fewer if they are large.
        description: shown at the progress bar.
        progress: shows it.
    """
    (rank, world), parts = rank_and_world_size(), evenly_spaced(data, split, n, size)
    shown = track(parts, description, n, progress and rank == 0, lambda part: len(part[1]))
    for number, part in enumerate(in_rounds(shown, world)):
        if number % world == rank:
            yield part
