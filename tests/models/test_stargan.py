"""StarGAN: targets, codes of classes and attributes, and classification."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F

from gan_lab.cli.config.compose import compose
from gan_lab.common.errors import UserError
from gan_lab.losses.adversarial import Wasserstein
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.losses.penalties import GradientPenalty
from gan_lab.models.stargan import StarGAN, permuted
from gan_lab.networks.stargan import Discriminator, Generator
from gan_lab.training.noise import KeyedStream


def make(codes=3, classes=3, **options):
    torch.manual_seed(0)
    networks = Generator(3, codes, 4, 1), Discriminator(3, 16, 16, codes, 4, layers=2)
    objective, adam = AdversarialObjective(Wasserstein(), {"gp": GradientPenalty()}, n_critic=5), torch.optim.Adam
    return StarGAN(*networks, classes, objective, partial(adam, lr=1e-3), partial(adam, lr=1e-3), **options)


@pytest.fixture
def batch():
    noise = torch.Generator().manual_seed(0)
    label = torch.tensor([0, 1, 2, 2, 3, 0])
    image = torch.rand(6, 3, 16, 16, generator=noise) * 2 - 1
    return {"image": image, "label": label, "attributes": torch.stack([label % 2, label // 2], 1).float()}


def test_targets_are_the_batchs_own_in_another_order():
    rows = torch.arange(8)
    one, again, other = (permuted(rows, KeyedStream(key)) for key in (0, 0, 1))
    assert torch.equal(one, again) and not torch.equal(one, other) and not torch.equal(one, rows)
    assert torch.equal(one.sort().values, rows)


@pytest.mark.parametrize("attributes", [0, 2])
def test_real_images_have_their_own_class_and_generated_ones_the_target(batch, attributes):
    """The cross entropy of attributes is summed over them, as in the published code."""
    model = make(codes=attributes or 4, classes=4, attributes=attributes, classification=2.0, cycle=3.0)
    shared = model.shared_forward(batch, KeyedStream(0))
    own, to = model.codes_of(batch), shared["to"]
    assert torch.equal(own, batch["attributes"] if attributes else F.one_hot(batch["label"], 4).float())
    torch.testing.assert_close(shared["fake"], model.generator(batch["image"], to))

    def entropy(images, codes):
        logits = model.discriminator(images)[1]
        odds = (codes * F.logsigmoid(logits) + (1 - codes) * F.logsigmoid(-logits)) if attributes else (
            codes * logits.log_softmax(1)
        )  # fmt: skip
        return -odds.sum(1).mean()

    d_losses = model.d_losses(batch, shared, KeyedStream(0))
    torch.testing.assert_close(d_losses.terms["class"], 2 * entropy(batch["image"], own))
    assert {*d_losses.terms} == {"adversarial", "gp", "class"}
    terms = model.g_losses(batch, shared, KeyedStream(0)).terms
    torch.testing.assert_close(terms["class"], 2 * entropy(shared["fake"], to))
    back = model.generator(shared["fake"], own)
    torch.testing.assert_close(terms["cycle"], 3 * (back - batch["image"]).abs().mean())
    torch.testing.assert_close(terms["adversarial"], -model.discriminator(shared["fake"])[0].mean())


def test_a_class_of_attributes_is_their_binary_digits(batch):
    model = make(codes=2, classes=4, attributes=2).eval()
    assert torch.equal(model.code(batch["label"]), batch["attributes"])
    by_class = model.restyle(batch["image"], batch["label"], model.random_styles(6, batch["label"]))
    assert torch.equal(by_class, model.restyle(batch["image"], batch["attributes"], torch.zeros(6, 0)))
    with pytest.raises(UserError, match="4 combinations"):
        make(codes=2, classes=3, attributes=2)


def test_chosen_columns_give_the_number_of_codes():
    """Two or more are attributes; the values of one are classes."""
    for chosen, classes, codes, attributes in (("[Male,Young]", 4, 2, 2), ("[hair]", 5, 5, 0), ("null", 3, 3, 0)):
        config = compose(["model=stargan", "data.root=x", f"data.chosen={chosen}", f"data.classes={classes}"])
        assert (config.model.generator.codes, config.model.attributes) == (codes, attributes)
        assert config.model.discriminator.codes == codes and config.model.classes == classes
