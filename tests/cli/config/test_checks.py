"""What a command composes to, and what it refuses."""

import pytest

from gan_lab.cli.config.checks import settle
from gan_lab.cli.config.compose import compose, resolve
from gan_lab.common.errors import UserError


def test_what_is_asked_for_besides_a_recipe_goes_before_it():
    made = compose(["recipe=fashion_dragan", "remedy=[ttur,diffaugment]", "debug=smoke"])
    assert (made.model.g_optimizer.lr, made.model.d_optimizer.lr, made.budget.images) == (1e-4, 4e-4, 512)
    assert compose(["recipe=stacked_mnist_r3gan", "remedy=diffaugment"]).model.augment.diff is not None
    assert compose(["recipe=fashion_dragan", "debug=smoke", "budget.images=7"]).budget.images == 7


def test_a_loss_says_what_a_model_only_prefers():
    sngan, other = (resolve(compose(["model=sngan", "data=fake", *loss])) for loss in ([], ["loss=wgan"]))
    assert (sngan["model"]["objective"]["n_critic"], sngan["model"]["d_optimizer"]["lr"]) == (5, 2e-4)
    assert (other["model"]["objective"]["n_critic"], other["model"]["d_optimizer"]["lr"]) == (5, 5e-5)
    assert resolve(compose(["model=sngan", "data=fake", "loss=dragan"]))["model"]["objective"]["n_critic"] == 1
    swapped = resolve(compose(["model=r3gan", "data=fake", "loss=wgan_gp"]))["model"]
    assert list(swapped["objective"]["penalties"]) == ["gradient_penalty"] and swapped["d_optimizer"]["lr"] == 1e-4


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["model=cyclegan", "data=digits"], "two domains of unpaired pictures.*data=plain2striped"),
        (["model=dcgan", "data=plain2striped"], "pictures of one kind.*data=digits"),
        (["model=cyclegan", "data=plain2striped", "data.size=30"], "multiples of 4"),
        (["model=cyclegan", "data=plain2striped", "data.size=16"], "24 px and more"),
        (["model=pix2pix", "data=plain2striped_paired", "data.preprocess=none"], "generator=resnet"),
        (
            ["model=simvp", "data.length=10"],
            "leaves no frames to forecast after model.context_frames=10: data.length=11",
        ),
        (["model=mocogan", "remedy=diffaugment"], "has no augment"),
        (["model=pix2pix", "data=plain2striped_paired", "remedy=diffaugment"], "has no augment.*clip, ttur"),
        (["model=cyclegan", "data=plain2striped", "remedy=lecam"], "has no lecam.*clip, ttur"),
        (["model=gan", "data=gaussians", "remedy=diffaugment"], "no pixels.*give model.augment.diff=null"),
        (["model=gan", "data=ring", "remedy=consistency"], "give loss.penalties.consistency=null"),
        (["model=cgan", "data=stacked_mnist"], "states none.*such as data=mnist"),
        (["model=sngan", "data=fake", "remedy=label_smoothing"], "Hinge has no target to smooth.*loss=minimax"),
        (["model=vae", "likelihood=bernoulli"], "add data.binarize=static"),
        (["model=vae", "data.binarize=dynamic"], "add likelihood=bernoulli"),
        (["model=pixelcnn", "loss=hinge"], "no discriminator.*leave loss= out"),
        (["model=vae", "remedy=diffaugment"], "has no augment.*goes with GANs"),
        (["model=vae_gan", "likelihood=logistic"], "no use for likelihood="),
        (["model=vqvae", "coder=conv"], "no use for coder="),
        (["model=dcgan", "coder=mlp"], "no use for coder="),
        (["model=vae", "coder=ladder"], "goes with model=hvae"),
        (["model=vae", "remedy=ttur"], "has no g_optimizer.*goes with GANs"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_is_read(overrides, sentence):
    with pytest.raises(UserError, match=sentence):
        settle(compose(overrides))
