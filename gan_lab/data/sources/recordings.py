"""Clips cut out of recordings, none across a change of scene.

A clip of T frames with ``stride`` frames from one to the next spans (T - 1) · stride + 1 frames of its recording.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path

import numpy as np
from lightning.pytorch.utilities import rank_zero_only, rank_zero_warn

from gan_lab.common.errors import UserError
from gan_lab.common.progress import track
from gan_lab.common.wording import counted
from gan_lab.data.checks import check_choice, check_counts
from gan_lab.data.loading.keyed_random import permutation
from gan_lab.data.loading.rendered import Ragged, Rendered
from gan_lab.data.loading.splits import TEST_SHARE
from gan_lab.data.reading.clip_sets import ClipSet
from gan_lab.data.reading.image_sets import remarks
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.data.reading.scenes import scene_cuts
from gan_lab.data.sources.recording_files import Recording, decode_recording, find_recordings
from gan_lab.data.types import Int64Array, UInt8Array

MAX_NAMES = 20
"""Names that a message lists at most."""


@dataclass(frozen=True)
class SceneIndex:
    """The scenes of a recording, or of a part of it.

    Args:
        name: of the recording.
        rendered: all of its frames.
        scenes: first frame and end of each scene.
    """

    name: str
    rendered: Rendered
    scenes: Sequence[tuple[int, int]]

    def clip_starts(self, span: int, hop: int) -> Int64Array:
        """Returns the first frames of the clips, int64 (clips,): every ``hop`` frames from the start of each scene."""
        starts = [np.arange(first, end - span + 1, hop) for first, end in self.scenes]
        return np.concatenate([np.zeros(0, np.int64), *starts])

    def part(self, begin: int, end: int) -> "SceneIndex":
        """Returns the scenes within the frames from ``begin`` to ``end``, the latter excluded."""
        shares = [(max(first, begin), min(last, end)) for first, last in self.scenes]
        return replace(self, scenes=[(first, last) for first, last in shares if first < last])

    def capacity(self, span: int) -> int:
        """Returns the number of clips that fit in one after another."""
        return sum((end - first) // span for first, end in self.scenes)

    @property
    def longest(self) -> int:
        """The number of frames of the longest scene."""
        return max(end - first for first, end in self.scenes)

    def train_and_test(self, span: int) -> tuple["SceneIndex", "SceneIndex"] | None:
        """Splits off the last tenth of the frames, or more if no clip fits in it.

        Returns:
            The training part and the test part, or None if there is room for a single clip only.
        """
        count, possible = len(self.rendered), self.clip_starts(span, 1)
        latest = int(possible[-1])
        for border in (min(latest, count - max(1, round(TEST_SHARE * count))), latest):
            train, test = self.part(0, border), self.part(border, count)
            if len(train.clip_starts(span, 1)):
                return train, test
        return None


@dataclass(frozen=True)
class RecordingClips:
    """Clips of recordings (satisfies ``ClipSet``).

    Args:
        recordings: the recordings, or the parts of them that belong to the split.
        length, stride: see the head of this file.
        hop: frames between the starts of two clips; None makes them follow each other.
    """

    recordings: Sequence[SceneIndex]
    length: int
    stride: int
    hop: int | None
    classes: int = 0

    @cached_property
    def places(self) -> Int64Array:
        """The recording of each clip and its first frame there, int64 (N, 2)."""
        span = clip_span(self.length, self.stride)
        starts = [recording.clip_starts(span, self.hop or span) for recording in self.recordings]
        pairs = [np.stack([np.full_like(each, number), each], 1) for number, each in enumerate(starts)]
        return np.concatenate([np.zeros((0, 2), np.int64), *pairs])

    def __len__(self) -> int:
        return len(self.places)

    def take(self, epoch: int, rows: Int64Array) -> UInt8Array:
        clips = [self._frames(_pixels(self.recordings[number]), start) for number, start in self.places[rows]]
        return np.stack(clips)

    def label(self, epoch: int, rows: Int64Array) -> None:
        """Returns None: recordings have no classes."""

    def _frames(self, values: UInt8Array, start: int) -> UInt8Array:
        """Selects a clip's frames from values (frames of the recording, …)."""
        return np.asarray(values[start : start + clip_span(self.length, self.stride) : self.stride])

    def fingerprint(self) -> str:
        spec = self.recordings[0].rendered.spec
        digest = blake2b(f"{len(self)} {self.length} {spec.channels} {spec.target_size}".encode(), digest_size=16)
        for number, start in self.places:
            digest.update(self._frames(self.recordings[number].rendered.digests, start).tobytes())
        return digest.hexdigest()

    def summary(self) -> str:
        frames = sum(end - first for recording in self.recordings for first, end in recording.scenes)
        changes = sum(len(recording.scenes) - 1 for recording in self.recordings)
        sizes = sorted({size for recording in self.recordings for size in recording.rendered.scan.sizes})
        notes = remarks(sum((recording.rendered.scan.notes for recording in self.recordings), Counter[str]()))
        clips, files = counted(len(self), "clip"), counted(len(self.recordings), "recording")
        return (
            f"{clips} of {counted(self.length, 'frame')}, from {files} with {counted(frames, 'frame')}, "
            f"{sizes[0] if len(sizes) == 1 else f'{len(sizes)} sizes'}, {counted(changes, 'scene change')}{notes}"
        )


def _pixels(recording: SceneIndex) -> UInt8Array:
    pixels = recording.rendered.pixels
    assert not isinstance(pixels, Ragged)  # frames of a recording have one size
    return pixels


def clip_span(length: int, stride: int) -> int:
    """Returns the number of frames of a recording from a clip's first frame to its last."""
    return (length - 1) * stride + 1


class Recordings:
    """Recordings of the user's (satisfies ``ClipSource``).

    ``gan_lab.data.sources.recording_files.find_recordings`` says which there are. If there is no test split, the last
    tenth of each recording's frames is held out, and more if no clip fits in it. Of the recordings with room for a
    single clip, a tenth is held out, chosen at random.

    Args:
        root: path of the recordings.
        stride: see the head of this file.
        hop: frames between the starts of two training clips; test clips follow each other.
        split_seed: of the recordings that are held out as a whole.
        cache: of decoded frames: "memory", "disk" (memory-mapped), or "auto", disk if it has room.
        cache_dir: folder of the disk cache; None stands for $GAN_LAB_CACHE, else ~/.cache/gan_lab.

    Raises:
        UserError: for invalid values.
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
    def facts(self) -> Mapping[str, object]:
        return {"stride": self.stride, "hop": self.hop, "split_seed": self.split_seed}

    def splits(self, spec: ResizeSpec, length: int, seed: int) -> dict[str, ClipSet]:
        """Returns "train" and "test", which do not depend on the seed.

        Raises:
            UserError: if there are no recordings, one cannot be read, or none is long enough.
        """
        found = {split: self._read(group, spec) for split, group in find_recordings(self.root).items()}
        for split, scenes in found.items():
            self._check_long_enough(scenes, length, 2 if split == "all" else 1)
        span = clip_span(length, self.stride)
        kept = {split: _long_enough(scenes, span) for split, scenes in found.items()}
        train, test = _held_out(kept["all"], span, self.split_seed) if "all" in kept else (kept["train"], kept["test"])
        return {
            "train": RecordingClips(train, length, self.stride, self.hop),
            "test": RecordingClips(test, length, self.stride, None),
        }

    def _read(self, group: Sequence[Recording], spec: ResizeSpec) -> list[SceneIndex]:
        show = getattr(rank_zero_only, "rank", 0) == 0
        return [self._scenes(each, spec) for each in track(group, "Reading recordings", len(group), show=show)]

    def _scenes(self, recording: Recording, spec: ResizeSpec) -> SceneIndex:
        rendered = decode_recording(recording, spec, self.cache, self.cache_dir)
        edges = [0, *scene_cuts(np.asarray(rendered.pixels)).tolist(), len(rendered)]
        return SceneIndex(recording.name, rendered, list(pairwise(edges)))

    def _check_long_enough(self, recordings: Sequence[SceneIndex], length: int, wanted: int) -> None:
        """Raises UserError unless the wanted number of clips, 1 or 2, fits in the recordings one after another."""
        if sum(each.capacity(clip_span(length, self.stride)) for each in recordings) >= wanted:
            return
        scenes = sorted((end - begin for each in recordings for begin, end in each.scenes), reverse=True)
        room = scenes[0] if wanted == 1 else max([scenes[0] // 2, *scenes[1:2]])
        longest, fits = max(recordings, key=lambda each: each.longest), (room - 1) // self.stride + 1
        works = f"data.length={fits} or less, or longer recordings" if fits else "longer recordings"
        raise UserError(
            f"data.root={self.root} has no room for {('a clip', 'a training and a test clip')[wanted - 1]} of "
            f"data.length={length} at data.stride={self.stride}: the longest recording, {longest.name}, has "
            f"{counted(longest.longest, 'frame')} of one scene, so give {works}."
        )


def _long_enough(recordings: Sequence[SceneIndex], span: int) -> list[SceneIndex]:
    """The recordings with room for a clip; warns about those that are left out."""
    short = [each.name for each in recordings if not each.capacity(span)]
    if short:
        more = f" and {len(short) - MAX_NAMES} more" if len(short) > MAX_NAMES else ""
        rank_zero_warn(
            f"{len(short)} recordings without {span} frames of one scene, which a clip takes, are left out: "
            f"{', '.join(short[:MAX_NAMES])}{more}."
        )
    return [each for each in recordings if each.capacity(span)]


def _held_out(
    recordings: Sequence[SceneIndex], span: int, split_seed: int
) -> tuple[list[SceneIndex], list[SceneIndex]]:
    """The training parts and the test parts."""
    parts = [each.train_and_test(span) for each in recordings]
    whole = [number for number, part in enumerate(parts) if part is None]
    num_held_out = max(1, round(TEST_SHARE * len(whole))) if len(whole) > 1 else 0
    held_out = {whole[place] for place in permutation(len(whole), split_seed)[:num_held_out]}
    train, test = [], []
    for number, (each, part) in enumerate(zip(recordings, parts, strict=True)):
        if part is not None:
            train.append(part[0])
            test.append(part[1])
        else:
            (test if number in held_out else train).append(each)
    return train, test
