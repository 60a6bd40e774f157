"""Interfaces of sets of clips and of the sources they come from.

Shapes are written with N clips, T frames, C channels, H height, W width.
"""

from collections.abc import Mapping
from typing import Protocol

from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.data.types import Int64Array, UInt8Array


class ClipSet(Protocol):
    """The clips of one split."""

    @property
    def classes(self) -> int:
        """K, the number of classes; 0 if clips have none."""

    def __len__(self) -> int:
        """Returns the number of clips; in an epoch if the set is endless."""

    def take(self, epoch: int, rows: Int64Array) -> UInt8Array:
        """Returns the clips of these rows as a copy, uint8 (n, T, C, H, W).

        An endless set has other clips in every epoch.
        """

    def label(self, epoch: int, rows: Int64Array) -> Int64Array | None:
        """Returns the classes of the same clips, int64 (n,), or None if they have none."""

    def fingerprint(self) -> str:
        """Returns a hash, equal if and only if ``take`` gives the same clips."""

    def summary(self) -> str:
        """Describes the clips in one line."""


class ClipSource(Protocol):
    """A place that clips come from."""

    @property
    def facts(self) -> Mapping[str, object]:
        """Plain facts for an evaluation protocol."""

    def splits(self, spec: ResizeSpec, length: int, seed: int) -> Mapping[str, ClipSet]:
        """Returns the clips of "train" and "test".

        Args:
            spec: size and channels of the clips.
            length: T, frames per clip.
            seed: determines random training clips; test clips never depend on it.

        Raises:
            UserError: if there are no clips; it says where they could come from.
        """
