import pytest
import torch

from gan_lab.common.errors import UserError
from gan_lab.common.instantiate import instantiate
from gan_lab.common.trust import MODEL_PARTS


def test_calls_partials_and_nesting():
    node = {
        "_target_": "torch.nn.Sequential",
        "_args_": [{"_target_": "torch.nn.Linear", "in_features": 2, "out_features": 3}, {"_target_": "torch.nn.ReLU"}],
    }
    assert isinstance(instantiate(node)[0], torch.nn.Linear)
    optimizer = instantiate({"_target_": "torch.optim.Adam", "_partial_": True, "lr": 0.5})(
        instantiate(node).parameters()
    )
    assert optimizer.param_groups[0]["lr"] == 0.5
    assert instantiate({"a": [1, {"b": None}]}) == {"a": [1, {"b": None}]}


def test_errors_name_what_is_wrong():
    with pytest.raises(UserError, match=r"torch\.nn\.Liner"):
        instantiate({"_target_": "torch.nn.Liner"})
    with pytest.raises(UserError, match=r"torch\.nn\.Linear does not take these arguments: .*'widht'"):
        instantiate({"_target_": "torch.nn.Linear", "widht": 3})
    with pytest.raises(UserError, match=r"data\.size=28 works"):
        instantiate(
            {"_target_": "gan_lab.networks.dcgan.Generator", "latent": 1, "channels": 1, "height": 30, "width": 30}
        )


QUANTIZER = {"_target_": "gan_lab.networks.quantizer.Quantizer"}
LINEAR = {"_target_": "torch.nn.Linear", "out_features": 1}
VQGAN = {"_target_": "gan_lab.models.vqgan.VQGAN"}


@pytest.mark.parametrize(
    ("node", "sentence"),
    [
        ({**QUANTIZER, "restart": "x"}, r"restart=x .* give a number of at least 0 as restart of gan_lab\.networks"),
        ({**QUANTIZER, "entries": 1.5}, "entries=1.5 .* an integer"),
        ({**QUANTIZER, "decay": True}, "decay=true .* a number of at least 0 and below 1 or null"),
        ({**LINEAR, "in_features": -3}, "does not work with these values: .*negative"),
        ({**VQGAN, "commitment": "x"}, "commitment=x"),  # an argument of its base class
        ({"_target_": "gan_lab.networks.vae.ConvDecoder", "tanh": 1}, "tanh=1 .* true or false"),
        ({"_target_": "gan_lab.models.bases.latents.Normal", "dim": 0}, "dim=0 .* an integer of at least 1 as dim of"),
    ],
)
def test_values_of_the_wrong_type_are_refused_by_name(node, sentence):
    with pytest.raises(UserError, match=sentence):
        instantiate(node)


def test_numbers_are_converted_to_the_annotated_type():
    assert instantiate({**QUANTIZER, "entries": 8, "restart": 1, "decay": None}).restart == 1
    dim = instantiate({"_target_": "gan_lab.models.bases.latents.Normal", "dim": 2e1}).dim
    assert dim == 20 and type(dim) is int


def test_plain_values_in_place_of_a_mapping_are_refused():
    node = {
        "_target_": "gan_lab.training.callbacks.fidelity.Fidelity",
        "every": 0,
        "n": None,
        "folder": "x",
        "metrics": {},
    }
    for value in ("none", 3, True):
        with pytest.raises(UserError, match=r"quick=(none|3|true) is not valid: give keys and values or null as q"):
            instantiate({**node, "quick": value})
    assert instantiate({**node, "quick": None}).tiers["quick"][0] == {}


def test_annotations_of_other_packages_are_not_checked():
    rate = {"_target_": "torch.tensor", "data": 0.5}
    adam = {"_target_": "torch.optim.Adam", "_partial_": True}
    parameters = [torch.zeros(1, requires_grad=True)]
    assert instantiate({**adam, "lr": rate})(parameters).param_groups[0]["lr"] == 0.5
    with pytest.raises(UserError, match="lr=fast is not valid: give a number of at least 0 as lr of torch"):
        instantiate({**adam, "lr": "fast"})
    erasing = {
        "_target_": "torchvision.transforms.v2.RandomErasing",
        "value": "random",
    }  # annotated as a float
    assert instantiate(erasing, MODEL_PARTS).p == 0.5


def test_errors_in_users_classes_keep_their_traceback(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "unsound.py").write_text("def make(): return [][0]\n")
    with pytest.raises(IndexError):
        instantiate({"_target_": "unsound.make"})


def test_an_error_inside_a_module_is_not_reported_as_a_missing_module(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "in_need.py").write_text("import no_such_package\n\nclass MyGAN: ...\n")
    (tmp_path / "broken.py").write_text("import math\n\nmath.nothing\n")
    with pytest.raises(UserError, match=r"in_need\.MyGAN .* No module named 'no_such_package'"):
        instantiate({"_target_": "in_need.MyGAN"})
    with pytest.raises(AttributeError, match="nothing"):
        instantiate({"_target_": "broken.MyGAN"})
