"""Clips cut out of recordings, none across a change of scene.

A clip of T frames with ``stride`` frames from one to the next spans (T - 1) · stride + 1 frames of its recording.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.utilities import rank_zero_only, rank_zero_warn

from gan_lab.common.errors import UserError
from gan_lab.common.progress import track
from gan_lab.data.loading.cache import Rendered
from gan_lab.data.loading.keyed import permutation
from gan_lab.data.loading.splits import HELD_OUT, check_choice, check_counts
from gan_lab.data.modules.clips import Clips
from gan_lab.data.reading.pictures import Bytes, Frame, Indices
from gan_lab.data.reading.scenes import cuts
from gan_lab.data.sources.recording_files import Recording, decoded, recordings

NAMED = 20  # of those left out


@dataclass(frozen=True)
class Footage:
    """The scenes of a recording, or of a part of it.

    Args:
        name: of the recording.
        rendered: its frames, all of them.
        scenes: first frame and end of each.
    """

    name: str
    rendered: Rendered
    scenes: Sequence[tuple[int, int]]

    def starts(self, span: int, hop: int) -> Indices:
        """First frames of the clips, int64: in each scene every ``hop`` frames from its beginning."""
        found = [np.arange(first, end - span + 1, hop) for first, end in self.scenes]
        return np.concatenate([np.zeros(0, np.int64), *found])

    def part(self, begin: int, end: int) -> "Footage":
        """The frames from ``begin`` on and before ``end``."""
        shares = [(max(first, begin), min(last, end)) for first, last in self.scenes]
        return replace(self, scenes=[(first, last) for first, last in shares if first < last])

    def fitting(self, span: int) -> int:
        """How many clips fit in one after the other."""
        return sum((end - first) // span for first, end in self.scenes)

    @property
    def longest(self) -> int:
        """Frames of the longest scene."""
        return max(end - first for first, end in self.scenes)

    def divided(self, span: int) -> tuple["Footage", "Footage"] | None:
        """What is trained on, and the last tenth, or more where no clip would fit in it; None if a single clip fits."""
        count, possible = len(self.rendered), self.starts(span, 1)
        latest = int(possible[-1])
        for border in (min(latest, count - max(1, round(HELD_OUT * count))), latest):
            train, test = self.part(0, border), self.part(border, count)
            if len(train.starts(span, 1)):
                return train, test
        return None


@dataclass(frozen=True)
class Recorded:
    """Clips of recordings (satisfies ``Clips``).

    Args:
        footage: the recordings, or the parts of them that the split has.
        length, stride: see the head of this file.
        hop: frames between the starts of two clips; None lets them follow each other.
    """

    footage: Sequence[Footage]
    length: int
    stride: int
    hop: int | None
    classes: int = 0

    @cached_property
    def places(self) -> Indices:
        """Which recording each clip is of, and with which frame it begins; int64 (N, 2)."""
        span = spanned(self.length, self.stride)
        found = [footage.starts(span, self.hop or span) for footage in self.footage]
        pairs = [np.stack([np.full_like(starts, which), starts], 1) for which, starts in enumerate(found)]
        return np.concatenate([np.zeros((0, 2), np.int64), *pairs])

    def __len__(self) -> int:
        return len(self.places)

    def take(self, epoch: int, rows: Indices) -> Bytes:
        return np.stack([self._of(self.footage[which].rendered.pixels, start) for which, start in self.places[rows]])

    def label(self, epoch: int, rows: Indices) -> None:
        """Recordings have no classes."""

    def _of(self, frames: Any, start: int) -> Bytes:
        """A clip's share of what there is for each frame of its recording."""
        return np.asarray(frames[start : start + spanned(self.length, self.stride) : self.stride])

    def fingerprint(self) -> str:
        frame = self.footage[0].rendered.frame
        digest = blake2b(f"{len(self)} {self.length} {frame.channels} {frame.box}".encode(), digest_size=16)
        for which, start in self.places:
            digest.update(self._of(self.footage[which].rendered.digests, start).tobytes())
        return digest.hexdigest()

    def summary(self) -> str:
        frames = sum(end - first for footage in self.footage for first, end in footage.scenes)
        changes = sum(len(footage.scenes) - 1 for footage in self.footage)
        sizes = sorted({size for footage in self.footage for size in footage.rendered.scan.sizes})
        shown = sizes[0] if len(sizes) == 1 else f"{len(sizes)} sizes"
        return (
            f"{len(self):,} clips of {self.length} frames, from {len(self.footage):,} recordings with {frames:,} "
            f"frames, {shown}, {changes:,} changes of scene"
        )


def spanned(length: int, stride: int) -> int:
    """Frames of a recording from a clip's first to its last."""
    return (length - 1) * stride + 1


class Recordings:
    """Your own recordings (satisfies ``ClipSource``); which there are says ``gan_lab.data.sources.recording_files.recordings``.

    Without a test split, the last tenth of each recording's frames is held out, and more where no clip would fit in it.
    Of the recordings with room for a single clip, a tenth is held out, chosen by chance.

    Args:
        root: of the recordings.
        stride: see the head of this file.
        hop: frames between the starts of two training clips; test clips follow each other.
        split_seed: of the recordings held out as wholes.
        cache: of decoded frames: "memory", "disk" (memory-mapped), or "auto", which is disk where it has room.
        cache_dir: where "disk" keeps them; None stands for $GAN_LAB_CACHE, else ~/.cache/gan_lab.
    """

    def __init__(
        self,
        root: str,
        stride: int = 1,
        hop: int = 1,
        split_seed: int = 0,
        cache: str = "auto",
        cache_dir: str | None = None,
    ) -> None:
        check_choice("cache", cache, ("auto", "memory", "disk"))
        check_counts(stride=stride, hop=hop)
        self.root, self.stride, self.hop, self.split_seed = Path(root).expanduser(), stride, hop, split_seed
        self.cache, self.cache_dir = cache, cache_dir

    @property
    def facts(self) -> Mapping[str, Any]:
        return {"stride": self.stride, "hop": self.hop, "split_seed": self.split_seed}

    def splits(self, frame: Frame, length: int, seed: int) -> dict[str, Clips]:
        """Both splits; the seed has no part in them."""
        found = {split: self._read(group, frame) for split, group in recordings(self.root).items()}
        for split, footage in found.items():
            self._check_long_enough(footage, length, 2 if split == "all" else 1)
        span = spanned(length, self.stride)
        kept = {split: _kept(footage, span) for split, footage in found.items()}
        train, test = _held_out(kept["all"], span, self.split_seed) if "all" in kept else (kept["train"], kept["test"])
        return {
            "train": Recorded(train, length, self.stride, self.hop),
            "test": Recorded(test, length, self.stride, None),
        }

    def _read(self, group: Sequence[Recording], frame: Frame) -> list[Footage]:
        shown = getattr(rank_zero_only, "rank", 0) == 0
        return [self._footage(each, frame) for each in track(group, "Reading recordings", len(group), show=shown)]

    def _footage(self, found: Recording, frame: Frame) -> Footage:
        rendered = decoded(found, frame, self.cache, self.cache_dir)
        edges = [0, *cuts(np.asarray(rendered.pixels)).tolist(), len(rendered)]
        return Footage(found.name, rendered, list(pairwise(edges)))

    def _check_long_enough(self, footage: Sequence[Footage], length: int, wanted: int) -> None:
        """Raises UserError unless so many clips, 1 or 2, fit in the recordings one after the other."""
        if sum(each.fitting(spanned(length, self.stride)) for each in footage) >= wanted:
            return
        scenes = sorted((end - begin for each in footage for begin, end in each.scenes), reverse=True)
        room = scenes[0] if wanted == 1 else max([scenes[0] // 2, *scenes[1:2]])
        longest, fits = max(footage, key=lambda each: each.longest), (room - 1) // self.stride + 1
        works = f"data.length={fits} or less, or longer ones" if fits else "longer ones"
        raise UserError(
            f"data.root={self.root} has no room for {('a clip', 'a training and a test clip')[wanted - 1]} of "
            f"data.length={length} at data.stride={self.stride}: the longest recording, {longest.name}, has "
            f"{longest.longest} frames of one scene, so give {works}."
        )


def _kept(footage: Sequence[Footage], span: int) -> list[Footage]:
    """Those with room for a clip; says which are left out."""
    short = [each.name for each in footage if not each.fitting(span)]
    if short:
        more = f" and {len(short) - NAMED} more" if len(short) > NAMED else ""
        rank_zero_warn(
            f"{len(short)} recordings without {span} frames of one scene, which a clip takes, are left out: "
            f"{', '.join(short[:NAMED])}{more}."
        )
    return [each for each in footage if each.fitting(span)]


def _held_out(footage: Sequence[Footage], span: int, split_seed: int) -> tuple[list[Footage], list[Footage]]:
    """What is trained on, and what is not."""
    halves = [each.divided(span) for each in footage]
    whole = [number for number, half in enumerate(halves) if half is None]
    held = max(1, round(HELD_OUT * len(whole))) if len(whole) > 1 else 0
    chosen = {whole[place] for place in permutation(len(whole), split_seed)[:held]}
    train, test = [], []
    for number, (each, half) in enumerate(zip(footage, halves, strict=True)):
        if half is not None:
            train.append(half[0])
            test.append(half[1])
        else:
            (test if number in chosen else train).append(each)
    return train, test
