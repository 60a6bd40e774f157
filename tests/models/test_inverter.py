"""An inverter: its encoder learns the codes of a fixed generator, layer by layer."""

from functools import partial

import pytest
import torch
from cases import limited, plain, small_generator
from fitting import fit
from lightning.pytorch import Callback
from small_models import small_stylegan2

import gan_lab
from gan_lab.common.capabilities import Decodes, Encodes, EncodesStyles, Samples, Styles
from gan_lab.common.errors import UserError
from gan_lab.inference.spaces import space_of, spread_of
from gan_lab.losses.adversarial import NonSaturating
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.losses.penalties import R1
from gan_lab.models.inverter import LatentInverter, StyleInverter
from gan_lab.networks.classifier import Classifier
from gan_lab.networks.inverter import CodeDiscriminator, Encoder
from gan_lab.training.growth import Growth
from gan_lab.training.noise import KeyedStream


class NoDistance(torch.nn.Module):
    """A distance that sees no difference."""

    def forward(self, a, b):
        return (a - b).flatten(1).sum(1) * 0


def inverter(kind=StyleInverter, layers=6, code=6, generator=None):
    torch.manual_seed(1)
    return kind(
        generator or small_stylegan2(), Encoder(3, 16, 16, layers, code, base=256, most=32),
        CodeDiscriminator(code, 16), AdversarialObjective(NonSaturating(), {"r1": R1()}),
        partial(torch.optim.Adam, lr=3e-3), torch.optim.Adam, NoDistance, Growth(), size=16, channels=3,
    )  # fmt: skip


def trained(model, steps):
    """Trains on samples of the generator, as the engine does."""
    optimizers = {phase.name: model.configure_optimizers()[i] for i, phase in enumerate(model.phases())}
    model.measure()
    for step in range(steps):
        batch, noise = {"image": model.sample(8, seed=5, start=8 * step)}, KeyedStream(step)
        shared = model.shared_forward(batch, noise)
        for phase in reversed(model.phases()):
            optimizers[phase.name].zero_grad()
            given = shared if phase.name == "encoder" else {name: each.detach() for name, each in shared.items()}
            phase.losses(batch, given, noise).total.backward()
            optimizers[phase.name].step()
    return model


@pytest.mark.parametrize(("kind", "level"), [(LatentInverter, 0), (StyleInverter, 0), (StyleInverter, 5)])
def test_the_encoder_learns_to_invert_a_small_generator(kind, level):
    model = inverter(kind, *((1, 4) if kind is LatentInverter else (6, 6)))
    model.level.fill_(level)
    before = [each.clone() for each in model.generator.parameters()]
    images = model.sample(16, seed=7)
    space = space_of(model)
    mean = space.images(space.repeated(spread_of(space, 500).mean, 16))
    trained(model, 200).use_live_weights = True
    left = (model.reconstruct(images) - images).square().mean() / (mean - images).square().mean()
    assert left < 0.4
    assert all(map(torch.equal, before, model.generator.parameters()))


class Levels(Callback):
    """Keeps how many layers may differ after each iteration, and whether the encoder's codes do."""

    def __init__(self):
        self.found = []

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        codes = module.codes(module.encoder, batch["image"])[0]
        self.found.append((float(module.level), [not torch.equal(each, codes[:, 0]) for each in codes.unbind(1)]))


def test_layers_are_switched_on_one_after_the_other(tmp_path):
    seen = Levels()
    _, model = fit(plain(["model=inverter"], tmp_path, *limited(40), "model.growth.until=0.5"), seen)
    levels, differ = zip(*seen.found, strict=True)
    assert levels[0] == 0 and not any(differ[0])
    assert levels[-1] == model.num_styles - 1 and all(differ[-1][1:]) and not differ[-1][0]
    assert list(levels) == sorted(levels) and len(set(levels)) > 3
    for level, layers in seen.found:
        assert layers == [False, *(level > number for number in range(len(layers) - 1))]


def test_a_checkpoint_has_the_generator_and_its_capabilities(tmp_path):
    configuration = plain(["model=inverter"], tmp_path, *limited(4))
    assert "generator_from" not in str(configuration["model"])
    trainer, model = fit(configuration)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    loaded = gan_lab.load(tmp_path / "last.ckpt")
    images = torch.rand(3, 3, 16, 16) * 2 - 1
    styles = loaded.encode_styles(images)
    assert isinstance(loaded, Samples) and isinstance(loaded, EncodesStyles) and not isinstance(loaded, Encodes)
    assert styles.shape == (3, loaded.num_styles, 8)
    torch.testing.assert_close(model.encode_styles(images), styles)
    torch.testing.assert_close(loaded.synthesize(styles), loaded.reconstruct(images))


def test_a_generator_without_styles_is_inverted_to_its_latents(tmp_path):
    checkpoint = small_generator("model=dcgan", "conditional=true", "data.classes=3")
    case = [f"generator_from={checkpoint}", "data.classes=3", *limited(4)]
    _, model = fit(plain(["model=inverter"], tmp_path, *case))
    assert isinstance(model, Decodes) and isinstance(model, Encodes) and not isinstance(model, Styles)
    images, label = torch.rand(3, 3, 16, 16) * 2 - 1, torch.tensor([0, 2, 1])
    latents = model.encode(images, label)
    assert latents.shape == model.latents(3).shape and model.num_labels == 3
    torch.testing.assert_close(model.reconstruct(images, label), model.decode(latents, label))


def test_generators_without_such_codes_are_refused():
    with pytest.raises(UserError, match="Classifier has no styles: take a LatentInverter"):
        inverter(generator=Classifier(3, 2))
    with pytest.raises(UserError, match="Classifier generates nothing from codes: give a GAN"):
        inverter(LatentInverter, generator=Classifier(3, 2))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["generator_from=null"], "give generator_from=, the path of its checkpoint"),
        (["data.size=32"], "16×16 px and C=3, not those of the data: give data.size=16 data.channels=3"),
        (["data.channels=1"], "give data.size=16 data.channels=3"),
        (["data=digits", "generator_from={conditional}"], "knows 3 classes, and the data have 10"),
        (["generator_from=nowhere.ckpt"], "^There is no checkpoint nowhere.ckpt"),
        (
            ["generator_from={translator}"],
            "^generator_from=.* is a CycleGAN, which generates nothing from codes: give the checkpoint",
        ),
    ],
)
def test_what_cannot_work_is_refused_in_one_sentence(more, words):
    conditional = small_generator("model=dcgan", "conditional=true", "data.classes=3")
    checkpoints = {"conditional": conditional, "translator": small_generator("model=cyclegan")}
    overrides = [each.format_map(checkpoints) for each in more]
    with pytest.raises(UserError, match=words) as error:
        gan_lab.compose("train", "model=inverter", "data=fake", f"generator_from={small_generator()}", *overrides)
    assert str(error.value).count(". ") == 0
