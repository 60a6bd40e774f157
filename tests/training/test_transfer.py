"""A run that starts from the weights of another takes what fits, and says what does not."""

from types import SimpleNamespace

import pytest
import torch
from cases import small, thin
from PIL import Image
from torch import nn

from gan_lab.cli.config.compose import compose, resolve
from gan_lab.common.errors import UserError
from gan_lab.common.instantiate import instantiate
from gan_lab.train import train
from gan_lab.training.checkpoint import load_weights
from gan_lab.training.transfer import CarriedClasses, modules_of, start_from

HAD, NAMES = ["cat", "dog", "hen"], ["Dog", "ship", "cat", "car"]
CONDITIONAL = [
    *(["model=" + name] for name in ("cgan", "acgan", "biggan")),
    *(
        [f"model={name}", "conditional=true"]
        for name in ("dcgan", "sngan", "stylegan2", "r3gan", "vae", "hvae", "draw")
    ),
]


def built(case, classes, seed):
    torch.manual_seed(seed)
    config = resolve(
        compose([*case, *(each for each in small(*case) if "classes" not in each), f"data.classes={classes}"])
    )
    model = instantiate(config["model"])
    model.configuration = {"model": config["model"]}
    return model.eval()


@torch.no_grad()
def trained(model):
    """Moves all weights, some of which begin alike for all classes; the averaged networks follow."""
    for name, weight in model.named_parameters():
        if not name.startswith("ema."):
            weight.add_(0.1 * torch.randn_like(weight))
    own = model.state_dict()
    averaged = {name: own[name.removeprefix("ema.networks.")] for name in own if name.startswith("ema.networks.")}
    model.load_state_dict(averaged, strict=False)
    return model


@pytest.mark.parametrize("case", CONDITIONAL, ids=" ".join)
def test_classes_keep_their_weights_by_name(case, tmp_path):
    names = NAMES[:3] if "model=stylegan2" in case else NAMES  # more inputs have another scale in equalised layers
    source, model, path = trained(built(case, 3, 0)), built(case, len(names), 1), tmp_path / "a.ckpt"
    stored = {"gan_lab": {"class_names": HAD}, "state_dict": source.state_dict()}
    torch.save(stored, path)
    load_weights(model, path)
    trainer = SimpleNamespace(ckpt_path=None, datamodule=SimpleNamespace(class_names=names))
    CarriedClasses(str(path)).setup(trainer, model, "fit")
    latents = source.latents(2)
    for name in ("cat", "dog"):
        ours = model.decode(latents, [each.lower() for each in names].index(name))
        torch.testing.assert_close(ours, source.decode(latents, HAD.index(name)))
    new = model.decode(latents, names.index("ship"))
    assert not any(torch.equal(new, source.decode(latents, number)) for number in range(3))


@pytest.mark.parametrize("case", [["model=stargan"], ["model=starganv2"]], ids=" ".join)
def test_domains_keep_their_weights_by_name(case, tmp_path):
    source, model, path = trained(built(case, 3, 0)), built(case, 4, 1), tmp_path / "a.ckpt"
    torch.save({"gan_lab": {"class_names": HAD}, "state_dict": source.state_dict()}, path)
    load_weights(model, path)
    trainer = SimpleNamespace(ckpt_path=None, datamodule=SimpleNamespace(class_names=NAMES))
    CarriedClasses(str(path)).setup(trainer, model, "fit")
    image = torch.rand(2, 3, 16, 16) * 2 - 1
    theirs, ours = ([restyled(each, image, to) for to in range(each.classes)] for each in (source, model))
    for name in ("cat", "dog"):
        number = [each.lower() for each in NAMES].index(name)
        torch.testing.assert_close(ours[number], theirs[HAD.index(name)])
    assert not any(torch.equal(ours[NAMES.index("ship")], each) for each in theirs)


def restyled(model, image, to):
    return model.restyle(image, to, model.random_styles(2, to))


def test_frozen_layers_may_have_classes_that_are_carried(tmp_path):
    source, model = built(["model=cgan"], 3, 0), built(["model=cgan"], 4, 1)
    torch.save({"gan_lab": {"class_names": HAD}, "state_dict": source.state_dict()}, tmp_path / "a.ckpt")
    next(model.discriminator.children()).requires_grad_(False)
    start_from(model, str(tmp_path / "a.ckpt"), 0.0, [model.discriminator])


def test_classes_of_the_same_names_stay(tmp_path):
    model = built(["model=cgan"], 3, 0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.save({"gan_lab": {"class_names": HAD}, "state_dict": model.state_dict()}, tmp_path / "a.ckpt")
    trainer = SimpleNamespace(ckpt_path=None, datamodule=SimpleNamespace(class_names=[name.title() for name in HAD]))
    CarriedClasses(str(tmp_path / "a.ckpt")).setup(trainer, model, "fit")
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_as_many_classes_of_other_names_start_anew(tmp_path):
    model = built(["model=cgan"], 3, 0)
    torch.save({"gan_lab": {"class_names": HAD}, "state_dict": model.state_dict()}, tmp_path / "a.ckpt")
    before = model.generator.state_dict()
    first = next(name for name, value in before.items() if value.ndim > 1)
    drawn = before[first].clone()
    trainer = SimpleNamespace(ckpt_path=None, datamodule=SimpleNamespace(class_names=["cat", "ship", "car"]))
    CarriedClasses(str(tmp_path / "a.ckpt")).setup(trainer, model, "fit")
    now, latent = model.generator.state_dict()[first], len(drawn) - 3  # of a transposed convolution
    same = [torch.equal(now[row], drawn[row]) for row in range(latent, latent + 3)]
    assert torch.equal(now[:latent], drawn[:latent]) and same == [True, False, False]


def test_frozen_layers_need_weights_to_keep(tmp_path):
    network, wider = (nn.Sequential(nn.Linear(3, width), nn.Linear(width, 1)) for width in (2, 4))
    torch.save({"gan_lab": {}, "state_dict": network.state_dict()}, tmp_path / "a.ckpt")
    wider[0].requires_grad_(False)
    with pytest.raises(UserError, match=r"Frozen layers would keep weights that were drawn, .* has none for 0:"):
        start_from(wider, str(tmp_path / "a.ckpt"), 0.0, [wider])
    start_from(wider, str(tmp_path / "a.ckpt"), 0.0, [wider[1]])


def test_weights_without_a_match_are_named_by_the_largest_module_that_lacks_all():
    others = ["generator.blocks.4.weight", "generator.out.bias"]
    names = ["generator.blocks.8.conv.weight", "generator.blocks.8.conv.bias", "generator.out.weight", "critic.a.b"]
    assert modules_of(names, others) == ["critic", "generator.blocks.8", "generator.out.weight"]


def test_a_run_takes_classes_by_their_names(tmp_path, caplog):
    for data, names in {"a": ("cat", "dog"), "b": ("dog", "ship")}.items():
        for index in range(16):
            folder = tmp_path / data / names[index % 2]
            folder.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (16, 16), (index * 9, 40, 90)).save(folder / f"{index}.png")
    line = ["model=cgan", *thin(compose(["model=cgan"])), "data=folder", "image_size=16", "batch_size=8",
            "budget.images=8", "logger=none", "~callbacks.fidelity", "~callbacks.samples"]  # fmt: skip
    train.run(*line, f"data.root={tmp_path / 'a'}", f"run_dir={tmp_path / 'one'}")
    train.run(*line, f"data.root={tmp_path / 'b'}", f"run_dir={tmp_path / 'two'}", f"init_from={tmp_path / 'one'}")
    assert f"Classes that {tmp_path / 'one'} does not have start anew: ship." in caplog.text
