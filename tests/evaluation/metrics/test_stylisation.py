"""Stylised photographs against the pictures and the photographs: closed forms."""

import pytest
import torch
from domains import two_sides

from gan_lab.common.images import to_float
from gan_lab.evaluation.evaluators.select import select_evaluator
from gan_lab.evaluation.metrics.stylisation import Stylisation
from gan_lab.evaluation.model_metric import EvalOptions


class Model:
    """Stylises by a function of photograph and picture."""

    any_style, multiple, device = True, 1, torch.device("cpu")

    def __init__(self, make):
        self.make = make

    def stylize(self, image, styles=(), shares=(), strength=1.0):
        return self.make(image, styles[0])


def data():
    return two_sides(5, 3, shape=(3, 32, 32))


def measured(make, n=200):
    metric = Stylisation(n)
    assert metric.applies_to(Model(make), data())
    metric.update(Model(make), data(), EvalOptions(progress=False))
    return metric.compute()


def test_the_photographs_keep_their_content_and_have_none_of_the_style():
    found = measured(lambda photo, picture: photo)
    assert found == {"stylisation": 1.0, "style_left": 1.0, "content_lost": 0.0}


def test_the_pictures_have_the_style_and_none_of_the_content():
    found = measured(lambda photo, picture: picture)
    assert found["style_left"] == pytest.approx(0, abs=1e-6) and found["content_lost"] == pytest.approx(1, abs=1e-6)


def test_photograph_i_takes_picture_i_over_and_over():
    taken = []
    measured(lambda photo, picture: taken.append(picture) or photo)
    pictures = to_float(torch.cat(list(data().sides["b"].images("test"))))
    assert [int((pictures == each).flatten(1).all(1).nonzero()) for each in taken] == [0, 1, 2, 0, 1]


def test_the_evaluator_states_what_was_compared():
    taken = []
    model = Model(lambda photo, picture: taken.append(photo) or photo)
    evaluator = select_evaluator(model, data(), n=4, metrics={"it": Stylisation})
    result = evaluator.evaluate(model)
    assert len(taken) == 4
    assert evaluator.comparison_text(result.protocol) == "4 test photographs in the style of 3 pictures"
    assert result.protocol["metrics"]["it"]["pictures"] == 3 and next(iter(result.metrics)) == "stylisation"
    assert evaluator.sheet(Model(lambda photo, picture: picture)).image.shape[0] == 3
