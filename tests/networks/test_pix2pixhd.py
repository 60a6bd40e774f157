"""pix2pixHD's networks: the published counts of parameters, stages, and features of objects."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gan_lab.common.errors import UserError
from gan_lab.networks.patchgan import MultiscaleDiscriminator, halved
from gan_lab.networks.pix2pixhd import COARSE, FIXED, WHOLE, Generator, object_means, painted


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def small(**options):
    torch.manual_seed(0)
    network = Generator(**{"channels": 4, "filters": 4, "halvings": 2, "blocks": 1, "local_blocks": 1, **options})
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0, 0.1)
    return network


def label_maps(n=2, classes=3, side=16):
    ids = torch.randint(0, classes, (n, side, side), generator=torch.Generator().manual_seed(0))
    return F.one_hot(ids, 4).permute(0, 3, 1, 2).float()  # the fourth channel: edges, here none


def test_parameter_counts_are_the_published_ones():
    """For Cityscapes: 35 labels and edges; the last layer of the global generator is not part of both together."""
    with torch.device("meta"):
        network = Generator(36)
        assert count(network.coarse) == 182_546_755
        assert count(network) - count(network.coarse.layers[-2]) == 182_857_059
        assert count(Generator(36, features=3, labels=35).encoder) == 788_803
        assert count(MultiscaleDiscriminator(39, scales=2)) == 5_603_202
        assert count(MultiscaleDiscriminator(39, scales=3)) == 8_404_803


def test_each_discriminator_sees_half_of_the_former():
    network, images = MultiscaleDiscriminator(2, 4, 1, scales=3), torch.randn(2, 2, 32, 32)
    small_images = halved(halved(images))
    for own, expected in zip(network.maps(images, 2), network.scales[2].maps(small_images), strict=True):
        assert torch.equal(own, expected)
    assert torch.equal(network.maps(small_images, 2, skipped=2)[-1], network.maps(images, 2)[-1])
    logits = [network.maps(images, scale)[-1].flatten(1) for scale in range(3)]
    assert torch.equal(network(images), torch.cat(logits, 1))


def test_halving_averages_three_by_three_pixels_and_fewer_at_the_border():
    images = torch.arange(16.0).view(1, 1, 4, 4)
    expected = torch.tensor([[2.5, 4.0], [8.5, 10.0]])
    assert torch.equal(halved(images)[0, 0], expected)


def test_the_enhancer_adds_maps_of_the_global_generator_to_its_own():
    network, labels = small(), label_maps()
    maps = network.coarse.layers[:-3](halved(labels))
    expected = network.enhancer.up(network.enhancer.down(labels) + maps)
    torch.testing.assert_close(network(labels, stage=WHOLE), expected)
    assert expected.shape == (2, 3, 16, 16)


@pytest.mark.parametrize(
    ("stage", "trained"), [(COARSE, {"coarse"}), (FIXED, {"enhancer"}), (WHOLE, {"coarse", "enhancer"})]
)
def test_a_stage_trains_its_own_part(stage, trained):
    network = small()
    network(label_maps(), stage=stage).square().sum().backward()
    found = {name.split(".")[0] for name, value in network.named_parameters() if value.grad is not None}
    assert found == trained


def test_before_the_enhancer_is_trained_small_images_are_enlarged():
    network, labels = small(), label_maps()
    assert network(labels).shape == (2, 3, 16, 16) and int(network.stage) == COARSE
    torch.testing.assert_close(
        halved(network(labels))[..., 1:-1, 1:-1].mean(), network(labels).mean(), atol=0.1, rtol=0
    )
    network.stage.fill_(WHOLE)
    assert torch.equal(network(labels), network(labels, stage=WHOLE))
    alone = small(enhancer=False)
    assert torch.equal(alone(labels), alone.coarse(labels)) and alone.multiple == network.multiple // 2


def test_features_are_means_over_objects():
    random = torch.Generator().manual_seed(0)
    maps, objects = torch.randn(2, 3, 6, 5, generator=random), torch.randint(0, 4, (2, 1, 6, 5), generator=random)
    found = painted(object_means(maps, objects * 85), objects * 85)
    for image in range(2):
        for number in range(4):
            here = objects[image, 0] == number
            expected = maps[image][:, here].mean(1, keepdim=True).expand(-1, int(here.sum()))
            torch.testing.assert_close(found[image][:, here], expected)


@pytest.mark.parametrize("enhancer", [True, False])
def test_at_test_an_object_has_the_mean_features_of_its_class(enhancer):
    """Over all pixels of the batches so far, earlier ones with less weight."""
    network, labels = small(features=2, labels=3, enhancer=enhancer), label_maps()
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    features = network.encode(labels, images, objects=None)
    step = 2 if enhancer else 1
    ids = labels.argmax(1)[:, ::step, ::step]
    small_features = features[..., ::step, ::step].movedim(1, 3)
    expected = torch.stack([small_features[ids == k].mean(0) for k in range(3)])
    torch.testing.assert_close(network.sums / network.counts, expected)
    whole = network.eval().with_features(labels, None)
    assert torch.equal(whole[:, :4], labels)
    torch.testing.assert_close(whole[:, 4:].movedim(1, 3), expected[labels.argmax(1)])


def test_objects_of_one_class_have_features_of_their_own():
    network, labels = small(features=2, labels=3).eval(), torch.zeros(1, 4, 16, 16)
    labels[:, 0] = 1
    images = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    objects = torch.zeros(1, 1, 16, 16, dtype=torch.uint8)
    objects[..., 8:] = 255
    features = network.encode(labels, images, objects)
    left, right = features[..., :8].flatten(2), features[..., 8:].flatten(2)
    assert (left == left[..., :1]).all() and (right == right[..., :1]).all()
    assert not torch.allclose(left[..., 0], right[..., 0], atol=1e-3)


def test_features_without_label_maps_and_sides_that_cannot_be_halved_are_refused():
    with pytest.raises(UserError, match=r"data\.domains\.a\.labels"):
        Generator(features=3)
    with pytest.raises(UserError, match="multiples of 32"):
        Generator.check_data({"size": [48, 64]})
