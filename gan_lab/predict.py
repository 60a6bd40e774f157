"""Continues sequences of frames: ``python -m gan_lab.predict checkpoint=runs/…/last.ckpt input=clip.gif frames=10``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gan_lab.cli.artifacts import Animation, Artifact, Images, Message, Sheet
from gan_lab.cli.command import command
from gan_lab.cli.requests import DataChanges, ModelRequest, PositiveFloat, PositiveInt
from gan_lab.cli.session import Session
from gan_lab.common.capabilities import Predicts
from gan_lab.common.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from gan_lab.inference.prediction import Sequences

ABREAST = 16
"""Sequences side by side in an animation."""


@dataclass(frozen=True, kw_only=True)
class PredictRequest(ModelRequest):
    input: Path | None
    frames: PositiveInt
    after: PositiveInt | None
    stride: PositiveInt
    n: PositiveInt
    split: Literal["test", "train"]
    root: Path | None
    data: DataChanges
    single: bool
    fps: PositiveFloat
    batch_size: PositiveInt


@command(PredictRequest, needs=Predicts, lacks="cannot continue sequences of frames", example="model=simvp")
def predict(session: Session, request: PredictRequest) -> Iterator[Artifact]:
    """Continues sequences of frames with a trained model: the user's own, or test clips of the model's data.

    Writes a sheet and an animation of the frames given, the prediction and, where the truth is known, the truth and the
    absolute error.
    """
    import torch

    from gan_lab.common.images import grid
    from gan_lab.inference.clip_rows import compared
    from gan_lab.inference.prediction import predict_frames

    clips = data_clips(session, request) if request.input is None else own_clip(session, request, request.input)
    predicted = predict_frames(session.model, clips.given, request.frames, request.batch_size, session.device)
    yield Message(summary(clips, predicted))
    context = min(clips.given.shape[1], session.model.context_frames)
    rows = compared(clips.given[:, -context:], predicted, clips.truth)
    yield Sheet("prediction", grid(rows.transpose(0, 1).flatten(0, 2), rows.shape[2]))
    abreast = rows[:, :ABREAST]
    frames = [grid(frame, abreast.shape[1]) for frame in abreast.flatten(0, 1).unbind(1)]
    yield Animation("prediction", torch.stack(frames), request.fps)
    if request.single:
        yield Images(predicted.flatten(0, 1))
        yield Message(f"Wrote {predicted.shape[0] * predicted.shape[1]} images, frame by frame")


def data_clips(session: Session, request: PredictRequest) -> Sequences:
    """Clips evenly spaced over a split of the data that the model was trained on."""
    import torch

    from gan_lab.common.capabilities import RealClips
    from gan_lab.common.images import to_float
    from gan_lab.data.clip_subsets import spread_clips
    from gan_lab.inference.prediction import split_clips

    data = session.data(request.root, request.data)
    if not isinstance(data, RealClips):
        raise UserError(f"The data of {session.path} are not sequences: give input=….")
    n = min(request.n, data.count(request.split))
    clips = torch.cat([part for _, part in spread_clips(data, request.split, n, request.batch_size)])
    return split_clips(to_float(clips), request.after or session.model.context_frames, "A clip of the data")


def own_clip(session: Session, request: PredictRequest, path: Path) -> Sequences:
    """The user's sequence, in the size and the channels of the model's data."""
    import torch

    from gan_lab.common.images import to_float
    from gan_lab.data.sources.recording_files import read_recording
    from gan_lab.inference.prediction import split_clips

    most = request.after and (request.after + request.frames) * request.stride
    pixels = torch.from_numpy(read_recording(path, session.resize_spec("frames"), most))
    frames = to_float(pixels[:: request.stride])[None]
    return split_clips(frames, request.after or frames.shape[1], f"input={path}")


def summary(clips: Sequences, predicted: Tensor) -> str:
    """How many frames were predicted and, where the truth is known, how far they are from it."""
    from gan_lab.evaluation.metrics.prediction import BASELINES, squared_error

    known = min(clips.truth.shape[1], predicted.shape[1])
    counts = f"Predicted {predicted.shape[1]} frames of {len(predicted)} sequences, {clips.given.shape[1]} frames given"
    if not known:
        return counts
    truth = clips.truth[:, :known].flatten(0, 1)
    error = squared_error(predicted[:, :known].flatten(0, 1), truth).mean()
    repeated = squared_error(BASELINES["repeat"](clips.given, known).flatten(0, 1), truth).mean()
    return f"{counts}\nSummed squared error per frame {error:.1f}; last frame repeated {repeated:.1f}"


if __name__ == "__main__":
    predict()
