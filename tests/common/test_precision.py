import pytest
import torch
from cases import CASES, limited, plain
from outputs import outputs_of
from torch import nn

from gan_lab.common.errors import UserError
from gan_lab.common.instantiate import instantiate
from gan_lab.common.precision import asked_precision, at_inference

CPU = torch.device("cpu")


def test_models_compute_in_the_precision_that_was_asked_for():
    layer, x = nn.Linear(8, 8), torch.randn(3, 8)

    def dtype():
        with at_inference(CPU):
            return layer(x).dtype

    assert dtype() == torch.float32
    with asked_precision("bf16", CPU):
        assert dtype() == torch.bfloat16
        with asked_precision("fp32", CPU):
            assert dtype() == torch.float32
        assert dtype() == torch.bfloat16
    assert dtype() == torch.float32


def test_an_error_ends_the_precision():
    with pytest.raises(ZeroDivisionError), asked_precision("bf16", CPU):
        raise ZeroDivisionError
    with at_inference(CPU):
        assert not torch.is_autocast_enabled("cpu")


def test_half_precision_needs_a_gpu():
    with pytest.raises(UserError, match="give precision=bf16"), asked_precision("fp16", CPU):
        pass


@pytest.mark.parametrize("case", [case for case in CASES if len(case) == 1], ids=" ".join)
def test_every_method_gives_float32_in_bfloat16(case, tmp_path):
    model = instantiate(plain(case, tmp_path, *limited(4))["model"])
    exact = outputs_of(model)
    with asked_precision("bf16", CPU):
        lower = outputs_of(model)
    for name, values in exact.items():
        assert lower[name].dtype == values.dtype and lower[name].shape == values.shape, name
        assert lower[name].isfinite().all(), name
