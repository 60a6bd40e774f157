"""Labels of conditional models."""

import pytest
import torch

from gan_lab.common.errors import UserError
from gan_lab.models.bases.labels import Labels

BATCH = {"image": torch.zeros(2, 1, 1, 1), "label": torch.tensor([1, 2])}


def test_an_unconditional_model_has_no_extra_inputs():
    labels = Labels()
    assert labels.condition(BATCH) == labels.expand(None, 3) == labels.of_samples(None, 3, 5) == ()
    assert labels.cyclic(None, 3, 5) is None
    with pytest.raises(UserError, match="without labels"):
        labels.expand(0, 3)


def test_a_conditional_model_gets_the_labels_of_the_batch_or_of_its_samples():
    labels = Labels(3)
    assert labels.condition(BATCH)[0] is BATCH["label"]
    assert labels.expand(None, 2)[0].tolist() == [0, 0]
    assert labels.expand(2, 2)[0].tolist() == [2, 2]
    assert labels.of_samples(None, 4, 5)[0].tolist() == [2, 0, 1, 2]
    assert labels.of_samples(torch.tensor([1, 0]), 2, 5)[0].tolist() == [1, 0]


@pytest.mark.parametrize("label", [3, -1, 1.5, "two", torch.tensor([0.5, 1]), torch.tensor([0, 1, 2])])
def test_unknown_labels_are_refused(label):
    with pytest.raises(UserError, match="is not valid"):
        Labels(3).check(label, 2)
