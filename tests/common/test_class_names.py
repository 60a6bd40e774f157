"""Names of classes: kept by models, accepted as labels, compared with the data's."""

from types import SimpleNamespace

import pytest

from gan_lab.common.class_names import check_class_names, class_names, label_number, name_classes
from gan_lab.common.errors import UserError

MOODS = ["angry", "happy", "Sad"]


def model(names=(), classes=None):
    return SimpleNamespace(class_names=tuple(names), classes=len(names) if classes is None else classes)


@pytest.mark.parametrize(
    ("names", "label", "number"),
    [
        *((MOODS, "happy", 1), (MOODS, "sad", 2), (MOODS, "2", 2), (MOODS, 2, 2), (MOODS, None, None)),
        *((["1", "2", "3"], "2", 1), (["1", "2", "3"], 3, 2), (["000", "007"], 7, 1), (["yes", "no"], "no", 1)),
        *((["a", "A", "b"], "A", 1), (["10", "x"], "1", 1), ([], "2", 2)),
    ],
)
def test_a_label_is_a_name_or_a_number(names, label, number):
    assert label_number(model(names), label, len(names) or 3) == number


@pytest.mark.parametrize(
    ("names", "label", "what"),
    [
        (MOODS, "hapy", "did you mean happy? The classes are angry, happy, Sad."),
        (MOODS, "cat", "the classes are angry, happy, Sad."),
        (MOODS, "3", "the classes 0 to 2."),
        (MOODS, "-1", "the classes 0 to 2."),
        (["1", "2", "3"], "0", "the classes are 1, 2, 3."),
        (["aB", "Ab"], "ab", "the classes are aB, Ab."),
        ([], "happy", "have no names, so give a number from 0 to 2."),
    ],
)
def test_other_labels_are_refused(names, label, what):
    with pytest.raises(UserError) as refusal:
        label_number(model(names), label, len(names) or 3)
    assert str(refusal.value).startswith(f"label={label} is not valid: ") and str(refusal.value).endswith(what)


def test_a_model_without_labels_says_so():
    for label in ("happy", 3):
        with pytest.raises(UserError, match="trained without labels: leave label= out"):
            label_number(model(), label, 0)
    assert label_number(model(), None, 0) is None


def test_only_a_conditional_model_takes_names():
    for classes, found in ((3, MOODS), (0, []), (4, [])):
        named = SimpleNamespace(classes=classes)
        name_classes(named, MOODS)
        assert class_names(named) == found


def test_other_classes_are_refused():
    check_class_names(model(MOODS), MOODS, ["Angry", "HAPPY", "sad"])
    check_class_names(model(MOODS), None, ["other"])
    check_class_names(model(classes=0), MOODS, ["other"])
    with pytest.raises(
        UserError, match="trained on the classes angry, happy, Sad, but the data have happy, angry, Sad"
    ):
        check_class_names(model(MOODS), MOODS, ["happy", "angry", "Sad"])
