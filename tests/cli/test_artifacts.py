"""Artefacts of clips."""

import torch

from gan_lab.cli.artifacts import clip_artifacts
from gan_lab.common.images import grid


def test_a_sheet_of_long_clips_shows_some_of_their_frames():
    clips = torch.linspace(-1, 1, 2 * 31 * 3 * 4 * 4).view(2, 31, 3, 4, 4)
    sheet, animation = clip_artifacts("canvases", clips, None, 8.0, shown=4)
    assert torch.equal(sheet.image, grid(clips[:, [0, 10, 20, 30]].flatten(0, 1), 4))
    assert len(animation.frames) == 31
    whole, _ = clip_artifacts("clips", clips[:, :3], None, 8.0, shown=4)
    assert torch.equal(whole.image, grid(clips[:, :3].flatten(0, 1), 3))
