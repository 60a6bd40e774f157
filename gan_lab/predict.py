"""Continues sequences of frames: ``python -m gan_lab.predict checkpoint=runs/…/last.ckpt input=clip.gif frames=10``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from gan_lab.cli.artifacts import Animation, Artifact, Images, Message, Sheet
from gan_lab.cli.command import command
from gan_lab.cli.requests import DataRequest
from gan_lab.cli.session import Session
from gan_lab.common.bounds import PositiveFloat, PositiveInt
from gan_lab.common.capabilities import Predicts

ABREAST = 16
"""Sequences side by side in an animation."""


@dataclass(frozen=True, kw_only=True)
class PredictRequest(DataRequest):
    frames: PositiveInt
    after: PositiveInt | None
    stride: PositiveInt
    split: Literal["test", "train"]
    single: bool
    fps: PositiveFloat


@command(PredictRequest, needs=Predicts, lacks="cannot continue sequences of frames", example="model=simvp")
def predict(session: Session, request: PredictRequest) -> Iterator[Artifact]:
    """Continues sequences of frames with a trained model: the user's own, or test clips of the model's data.

    Writes a sheet and an animation of the frames given, the prediction and, where the truth is known, the truth and the
    absolute error.
    """
    import torch

    from gan_lab.cli.inputs import data_clips, own_clip
    from gan_lab.common.images import grid
    from gan_lab.evaluation.metrics.prediction import describe_errors
    from gan_lab.inference.clip_rows import compared
    from gan_lab.inference.prediction import predict_frames

    if request.input is None:
        clips = data_clips(session, request, request.after or session.model.context_frames)
    else:
        clips = own_clip(session, request.input, request.after, request.frames, request.stride)
    predicted = predict_frames(session.model, clips.given, request.frames, request.batch_size, session.device)
    yield Message(describe_errors(clips.given, predicted, clips.truth))
    context = min(clips.given.shape[1], session.model.context_frames)
    rows = compared(clips.given[:, -context:], predicted, clips.truth)
    yield Sheet("prediction", grid(rows.transpose(0, 1).flatten(0, 2), rows.shape[2]))
    abreast = rows[:, :ABREAST]
    frames = [grid(frame, abreast.shape[1]) for frame in abreast.flatten(0, 1).unbind(1)]
    yield Animation("prediction", torch.stack(frames), request.fps)
    if request.single:
        yield Images(predicted.flatten(0, 1))
        yield Message(f"Wrote {predicted.shape[0] * predicted.shape[1]} images, frame by frame")


if __name__ == "__main__":
    predict()
