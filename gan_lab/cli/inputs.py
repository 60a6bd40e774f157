"""Inputs of commands: images of the model's data, or the user's own files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_lab.cli.artifacts import say
from gan_lab.common.errors import UserError

if TYPE_CHECKING:
    from gan_lab.cli.requests import DataRequest
    from gan_lab.cli.session import Session
    from gan_lab.inference.prediction import Sequences
    from gan_lab.inference.reconstruction import LabelledImages


def given_images(session: Session, request: DataRequest, label: int | None) -> LabelledImages:
    """The user's images, or those of the model's data; see ``own_images`` and ``data_images``."""
    if request.input is None:
        return data_images(session, request, label)
    return own_images(session, request, request.input, label)


def data_images(session: Session, request: DataRequest, label: int | None) -> LabelledImages:
    """Images evenly spaced over a split of the data that the model was trained on, with their classes.

    Raises:
        UserError: if the data are not images of one kind.
    """
    import torch

    from gan_lab.common.capabilities import LabelledImages as HasLabels
    from gan_lab.common.capabilities import RealImages
    from gan_lab.common.images import to_float
    from gan_lab.data.subsets import capped_count, evenly_spaced, evenly_spaced_numbers
    from gan_lab.inference.reconstruction import LabelledImages

    data, split = session.data(request.root, request.data), request.split
    if not isinstance(data, RealImages):
        raise UserError(f"The data of {session.path} are not images of one kind: give input=….")
    n = capped_count(data, split, request.n)
    labels: Any = label
    if label is None and session.num_classes and isinstance(data, HasLabels):
        labels = data.labels(split)[evenly_spaced_numbers(data.count(split), n)]
    return LabelledImages(to_float(torch.cat([images for _, images in evenly_spaced(data, split, n)])), labels)


def own_images(session: Session, request: DataRequest, path: Path, label: int | None) -> LabelledImages:
    """The user's images, in the size and the channels of the model's data, and binarised if those are.

    Raises:
        UserError: if no image can be read.
    """
    from collections import Counter

    import numpy as np
    import torch

    from gan_lab.common.domains import Domain
    from gan_lab.common.images import to_float
    from gan_lab.data.loading.batches import STATIC
    from gan_lab.data.loading.binarization import binarize
    from gan_lab.data.reading.files import ImageFiles
    from gan_lab.data.reading.image_sets import DamagedImage, DecodedImage
    from gan_lab.data.subsets import evenly_spaced_numbers
    from gan_lab.inference.file_jobs import plan
    from gan_lab.inference.reconstruction import LabelledImages

    spec, node = session.resize_spec("images"), session.contents["data"]
    jobs, others = plan(path, request.output or Path(), Domain(spec.channels))
    if others:
        say(f"passed over {others.text()}")
    chosen = [jobs[number].entry for number in evenly_spaced_numbers(len(jobs), min(request.n, len(jobs))).tolist()]
    found = list(ImageFiles(chosen).render(spec))
    for damaged in (each for each in found if isinstance(each, DamagedImage)):
        say(f"left out {damaged.name}: {damaged.reason}")
    for note, count in Counter(note for each in found if isinstance(each, DecodedImage) for note in each.notes).items():
        print(f"{note} ({count})")
    readable = [each.pixels for each in found if not isinstance(each, DamagedImage)]
    if not readable:
        raise UserError(f"No image of input={path} can be read: give an image, or a folder or zip of images.")
    pixels = np.stack(readable)
    if node.get("binarize"):
        pixels = binarize(pixels, np.arange(len(pixels)), node.get("binarize_seed", 0), STATIC)
        print("The model was trained on binary images, sampled from grey ones: so are these.")
    return LabelledImages(to_float(torch.from_numpy(pixels)), label)


def data_clips(session: Session, request: DataRequest, after: int) -> Sequences:
    """Clips evenly spaced over a split of the data that the model was trained on.

    Raises:
        UserError: if the data are no sequences, or their clips are too short.
    """
    import torch

    from gan_lab.common.capabilities import RealClips
    from gan_lab.common.images import to_float
    from gan_lab.data.clip_subsets import evenly_spaced_clips
    from gan_lab.inference.prediction import split_clips

    data = session.data(request.root, request.data)
    if not isinstance(data, RealClips):
        raise UserError(f"The data of {session.path} are not sequences: give input=….")
    n = min(request.n, data.count(request.split))
    clips = torch.cat([part for _, part in evenly_spaced_clips(data, request.split, n, request.batch_size)])
    return split_clips(to_float(clips), after, "A clip of the data")


def own_clip(session: Session, path: Path, after: int | None, frames: int, stride: int) -> Sequences:
    """The user's sequence, in the size and the channels of the model's data.

    Raises:
        UserError: if it cannot be read, or is too short.
    """
    import torch

    from gan_lab.common.images import to_float
    from gan_lab.data.sources.recording_files import read_recording
    from gan_lab.inference.prediction import split_clips

    most = after and (after + frames) * stride
    pixels = torch.from_numpy(read_recording(path, session.resize_spec("frames"), most))
    clip = to_float(pixels[::stride])[None]
    return split_clips(clip, after or clip.shape[1], f"input={path}")
