import numpy as np
import pytest
import torch

from gan_lab.common.errors import UserError
from gan_lab.data import presets
from gan_lab.data.sources.animals import CLASSES, COAT, GROUND, SKY, draw

COLOUR = {"a": {"channels": 3, "labels": 0}, "b": {"channels": 3, "labels": 0}}


def module(labels=False, paired=False, domains=COLOUR, **options):
    defaults = {"name": "it", "count": 6, "test_count": 2, "draw_seed": 0, "size": 32, "batch_size": 2}
    return presets.plain2striped(labels=labels, paired=paired, domains=domains, **defaults | options)


def shown(data, side, split="train"):
    return torch.cat(list(data.sides[side].images(split)))


def test_a_drawing_is_a_function_of_seed_and_index():
    first = draw(1, 5, False, 40, 56)
    assert first[0].shape == (3, 40, 56) and first[1].shape == (1, 40, 56)
    assert all(np.array_equal(a, b) for a, b in zip(first, draw(1, 5, False, 40, 56), strict=True))
    assert not np.array_equal(first[0], draw(1, 6, False, 40, 56)[0])
    assert not np.array_equal(first[0], draw(2, 5, False, 40, 56)[0])


@pytest.mark.parametrize("index", range(4))
def test_the_coat_alone_differs_between_plain_and_striped(index):
    (plain, classes), (striped, same) = draw(0, index, False, 64, 64), draw(0, index, True, 64, 64)
    assert np.array_equal(classes, same)
    coat = classes[0] == COAT
    near = torch.nn.functional.max_pool2d(torch.from_numpy(coat).float()[None], 5, 1, 2)[0].bool().numpy()
    differs = (plain != striped).any(0)
    assert not differs[~near].any() and differs[coat].mean() > 0.9
    assert striped[:, coat].mean(0).std() > 2 * plain[:, coat].mean(0).std(), "light and dark"


def test_every_drawing_has_sky_ground_and_an_animal():
    for index in range(40):
        classes = draw(0, index, False, 32, 32)[1]
        shares = np.bincount(classes.ravel(), minlength=len(CLASSES)) / classes.size
        assert shares[SKY] > 0.1 and shares[GROUND] > 0.1 and 0.04 < shares[COAT] < 0.5


def test_another_size_shows_the_same_scene():
    large = torch.from_numpy(draw(0, 3, True, 128, 128)[0].copy()).float()
    small = torch.from_numpy(draw(0, 3, True, 32, 32)[0].copy()).float()
    shrunk = torch.nn.functional.avg_pool2d(large, 4)
    assert (shrunk - small).abs().mean() < 8 < (shrunk - small.flip(-1)).abs().mean()


def test_splits_and_pairs_of_drawings():
    data = module()
    assert [data.sides[side].count(split) for side in "ab" for split in ("train", "test")] == [6, 2, 6, 2]
    assert np.array_equal(shown(data, "a")[4].numpy(), draw(0, 4, False, 32, 32)[0])
    assert np.array_equal(shown(data, "b")[4].numpy(), draw(0, 12, True, 32, 32)[0]), "no scene is on both sides"
    assert torch.equal(shown(module(paired=True), "a", "test"), shown(data, "a", "test"))
    assert np.array_equal(shown(module(paired=True), "b", "test")[1].numpy(), draw(0, 7, True, 32, 32)[0])
    maps = module(labels=True, paired=True, domains={"a": {"labels": 6}, "b": {}})
    assert np.array_equal(shown(maps, "a")[2].numpy(), draw(0, 2, True, 32, 32)[1])
    assert next(iter(maps.train_dataloader()))["source"].unique().tolist()[-1] < 6
    assert module(domains={"a": {"channels": 1}, "b": {}}).sides["a"].images("test").__next__().shape == (2, 1, 32, 32)


def test_maps_and_images_are_not_confused():
    with pytest.raises(UserError, match="drawings of animals are images, not label maps"):
        module(domains={"a": {"labels": 6}, "b": {}}).setup("fit")
