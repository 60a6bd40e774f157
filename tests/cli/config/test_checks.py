"""What a command composes to, and what it refuses."""

import pytest
from omegaconf import OmegaConf

from gan_lab.cli.config.checks import validate
from gan_lab.cli.config.compose import compose, resolve
from gan_lab.common.arguments import accepted_arguments
from gan_lab.common.errors import UserError
from gan_lab.common.instantiate import instantiate


def test_what_is_asked_for_besides_a_recipe_goes_before_it():
    made = compose(["recipe=fashion_dragan", "remedy=[ttur,diffaugment]", "debug=smoke"])
    assert (made.model.g_optimizer.lr, made.model.d_optimizer.lr, made.budget.images) == (1e-4, 4e-4, 512)
    assert compose(["recipe=stacked_mnist_r3gan", "remedy=diffaugment"]).model.augment.diff is not None
    assert compose(["recipe=fashion_dragan", "debug=smoke", "budget.images=7"]).budget.images == 7


def test_a_loss_takes_precedence_over_the_models_own_values():
    sngan, other = (resolve(compose(["model=sngan", "data=fake", *loss])) for loss in ([], ["loss=wgan"]))
    assert (sngan["model"]["objective"]["n_critic"], sngan["model"]["d_optimizer"]["lr"]) == (5, 2e-4)
    assert (other["model"]["objective"]["n_critic"], other["model"]["d_optimizer"]["lr"]) == (5, 5e-5)
    assert resolve(compose(["model=sngan", "data=fake", "loss=dragan"]))["model"]["objective"]["n_critic"] == 1
    swapped = resolve(compose(["model=r3gan", "data=fake", "loss=wgan_gp"]))["model"]
    assert list(swapped["objective"]["penalties"]) == ["gradient_penalty"] and swapped["d_optimizer"]["lr"] == 1e-4


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (
            ["model=cyclegan", "data=digits"],
            "two domains of unpaired images.*has images of one domain.*data=plain2striped",
        ),
        (["model=dcgan", "data=plain2striped"], "trained on images of one domain.*data=digits"),
        (["model=simvp", "data=digits"], "trained on clips.*data=moving_digits"),
        (["model=cyclegan", "data=plain2striped", "data.size=30"], "multiples of 4"),
        (["model=cyclegan", "data=plain2striped", "data.size=16"], "at least 24 px"),
        (["model=pix2pix", "data=plain2striped_paired", "data.preprocess=none"], "generator=resnet"),
        (
            ["model=pix2pix", "data=plain2striped_paired", "data.size=48", "generator.num_downsamplings=5"],
            "multiples of 32",
        ),
        (
            ["model=simvp", "data.length=10"],
            "leaves no frames to forecast after model.context_frames=10: give data.length=11",
        ),
        (["model=mocogan", "remedy=diffaugment"], "DiffAugment changes images, not clips"),
        (["model=pix2pix", "data=plain2striped_paired", "remedy=diffaugment"], "has no argument augment.*with GANs"),
        (["model=cyclegan", "data=plain2striped", "remedy=lecam"], "remedy=lecam works with GANs of single images"),
        (["model=gan", "data=gaussians", "remedy=diffaugment"], "no pixels.*leave remedy=diffaugment"),
        (["model=gan", "data=ring", "remedy=consistency"], "no pixels.*remedy=consistency out"),
        (["model=cgan", "data=stacked_mnist"], "has no classes.*such as data=mnist"),
        (["model=sngan", "data=fake", "remedy=label_smoothing"], "Hinge has no argument smooth.*loss=minimax"),
        (["model=vae", "likelihood=bernoulli"], "add data.binarize=static"),
        (["model=vae", "data.binarize=dynamic"], "add likelihood=bernoulli"),
        (["model=pixelcnn", "loss=hinge"], "does not use a loss: leave loss= out"),
        (["model=vae", "remedy=diffaugment"], "has no argument augment.*with GANs"),
        (["model=vae", "remedy=replay"], "has no argument replay_pool.*with GANs"),
        (["model=vae_gan", "likelihood=logistic"], "does not use a likelihood"),
        (["model=vqvae", "coder=conv"], "does not use a coder"),
        (["model=dcgan", "coder=mlp"], "does not use a coder"),
        (["model=vae", "network=resnet"], "does not use a network"),
        (["~loss"], "model=dcgan needs a loss: give loss= one of dragan, hinge"),
        (["model=vae", "coder=ladder"], "one level of latents.*coder=mlp or conv"),
        (["model=vae", "remedy=ttur"], "has no argument g_optimizer.*with GANs"),
        (["model=gan", "+model.generator.base=4"], "Generator has no argument base: model.generator has channels"),
        (["model=cut", "data=plain2striped", "generator=unet"], "has no argument antialias.*give generator=resnet"),
        (["model=vae_gan", "coder=mlp"], "has no argument tanh.*give coder=conv"),
        (["+model.gamma=1"], "model=dcgan has no argument gamma: model has augment, classes"),
        (["data.size=null"], "data.size=None is not valid"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_is_read(overrides, sentence):
    config = compose(overrides)
    with pytest.raises(UserError, match=sentence):
        validate(config)
        instantiate(resolve(config)["model"])


def test_arguments_that_a_class_hands_on_are_known():
    class Base:
        def __init__(self, a: int, b: int = 0) -> None: ...

    class Inheriting(Base): ...

    class Handing(Base):
        def __init__(self, c: int, **base: int) -> None: ...

    class Open:
        def __init__(self, **anything: int) -> None: ...

    known = [accepted_arguments(each) for each in (Base, Inheriting, Handing, Open, lambda x, *, y=1: x)]
    assert known == [{"a", "b"}, {"a", "b"}, {"a", "b", "c"}, None, {"x", "y"}]


def test_only_what_depends_on_the_machine_changes():
    before, config = (compose(["model=dcgan", "trainer=cpu", "trainer.devices=2", "run_dir=x"]) for _ in range(2))
    validate(config)
    changed = {key for key in config if OmegaConf.to_container(config)[key] != OmegaConf.to_container(before)[key]}
    assert changed == {"precision", "trainer"} and config.trainer.strategy == "ddp_find_unused_parameters_true"


@pytest.mark.parametrize(
    ("case", "key"),
    [
        (["model=fast_style", "data.domains.a.channels=1"], "data.domains.a.channels=3"),
        (["model=adain", "data.domains.b.channels=1"], "data.domains.b.channels=3"),
        (["model=cartoon", "data.domains.a.labels=8"], "data.domains.a.channels=3, and no labels"),
        (["model=colorize", "data.channels=1"], r"data\.channels=3"),
    ],
)
def test_models_of_images_in_colour_refuse_others(case, key):
    data = ["data=fake_unpaired"] if "domains" in case[1] else []
    with pytest.raises(UserError, match=f"takes images in colour: give {key}"):
        validate(compose([case[0], *data, case[1]]))


def test_an_encoder_and_a_decoder_of_other_widths_are_refused():
    config = resolve(compose(["model=adain", "data=fake_unpaired", "encoder.widths=[1,2,3,4]"]))
    with pytest.raises(UserError, match=r"The encoder has \[16, 24, 40, 80\] maps, the decoder takes \[1, 2, 3, 4\]"):
        instantiate(config["model"])
