"""Sheets and animations of clips, cell by cell."""

import pytest
import torch
from sequences import Known, Off, RandomClips

from gan_lab.evaluation.kinds import animation_for, sheet_for
from gan_lab.inference.sheets import SheetOptions

SIDE, LENGTH, GIVEN = 64, 5, 2


@pytest.fixture
def data():
    """Clips of a size that the grid does not enlarge."""
    return RandomClips(9, LENGTH, (1, SIDE, SIDE))


def cells(sheet):
    """The images of a grid, by row and column."""
    rows, columns = ((side - 2) // (SIDE + 2) for side in sheet.shape[1:])
    return sheet[0, 2:, 2:].unfold(0, SIDE, SIDE + 2).unfold(1, SIDE, SIDE + 2)[:rows, :columns]


def test_predictions_are_below_the_clip_and_above_their_error(data):
    shown = cells(sheet_for(Off(data, 0.0), data, SheetOptions(n=1))())
    assert shown.shape[:2] == (12, LENGTH)  # four clips at least
    came, predicted, error = shown.unflatten(0, (4, 3)).unbind(1)
    chosen = [next(k for k, clip in enumerate(data.made) if torch.equal(clip[:, 0], each)) for each in came]
    assert chosen == sorted(set(chosen)) and chosen[-1] - chosen[0] > 4, "they are spread over the split"
    assert torch.equal(predicted[:, GIVEN:], came[:, GIVEN:])
    assert (predicted[:, :GIVEN] == 255).all() and (error[:, GIVEN:] == 0).all()


def test_a_prediction_is_animated_next_to_the_truth(data):
    animation = animation_for(Off(data, 0.0), data, 0)
    assert animation.name == "prediction" and len(animation.frames) == LENGTH
    came, predicted, error = cells(animation.frames[-1])
    assert torch.equal(came, predicted) and not error.any()


def test_rows_of_a_conditional_model_have_the_names_of_their_classes(data):
    model = Known(data.made)
    bare = sheet_for(model, data, SheetOptions(n=3 * LENGTH))()
    model.class_names = ("cat", "dog")
    named = sheet_for(model, data, SheetOptions(n=3 * LENGTH))()
    margin = named[:, :, : named.shape[-1] - bare.shape[-1]]
    assert torch.equal(named[:, :, margin.shape[-1] :], bare)
    assert all((row < 255).any() for row in margin.chunk(3, 1))


def test_generated_clips_are_rows(data):
    shown = cells(sheet_for(Known(data.made), data, SheetOptions(n=2 * LENGTH))())
    assert torch.equal(shown, data.made[:2, :, 0])
    animation = animation_for(Known(data.made), data, 0)
    assert animation.name == "sequences" and len(animation.frames) == LENGTH
    assert torch.equal(cells(animation.frames[3])[0, 0], data.made[0, 3, 0])
