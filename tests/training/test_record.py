"""What every checkpoint records of the data's classes, and what a resumed run compares."""

from types import SimpleNamespace

import pytest

from gan_lab.common.errors import UserError
from gan_lab.training.trainer import Record


def trainer(*names):
    return SimpleNamespace(datamodule=SimpleNamespace(class_names=list(names)))


def test_a_checkpoint_has_the_names_and_the_model_too():
    checkpoint, model = {}, SimpleNamespace(classes=2)
    Record({"data": {}}).on_save_checkpoint(trainer("cats", "dogs"), model, checkpoint)
    assert checkpoint["gan_lab"]["class_names"] == ["cats", "dogs"]
    Record({}).on_fit_start(trainer("cats", "dogs"), model)
    assert model.class_names == ("cats", "dogs")
    Record({"data": {}}).on_save_checkpoint(SimpleNamespace(), model, checkpoint)
    assert checkpoint["gan_lab"]["class_names"] == []


def resumed(stored, *names, order="natural", classes=2):
    record = Record({"data": {"class_order": order}})
    record.on_load_checkpoint(trainer(*names), SimpleNamespace(classes=classes), {"gan_lab": stored})


def test_a_resumed_conditional_run_needs_its_classes_in_their_order():
    resumed({"class_names": ["cats", "dogs"]}, "cats", "dogs")
    resumed({"class_names": ["cats", "dogs"]}, "dogs", "cats", classes=0)
    with pytest.raises(UserError, match="trained on the classes cats, dogs, but the data have dogs, cats"):
        resumed({"class_names": ["cats", "dogs"]}, "dogs", "cats")


def test_a_run_of_an_earlier_version_goes_on_in_the_order_of_characters():
    old = {"data": {"class_order": "text"}}  # as upgraded
    resumed(old, "1", "2", "3")
    resumed(old, "1", "10", "2", order="text")
    with pytest.raises(UserError, match=r"add data\.class_order=text"):
        resumed(old, "1", "2", "10")
