"""The history of generated pictures."""

import torch
from torch.nn.functional import pad

from gan_lab.training import image_pool as module
from gan_lab.training.image_pool import ImagePool
from gan_lab.training.noise import KeyedStream


def picture(value):
    return torch.full((1, 1, 2, 2), float(value))


def fed(pool, numbers):
    return [int(pool.query(picture(number), KeyedStream(number))[0, 0, 0, 0]) for number in numbers]


def test_fills_first_then_shows_an_old_picture_half_of_the_time():
    pool = ImagePool(10)
    assert fed(pool, range(10)) == [*range(10)]
    shown = fed(pool, range(10, 1010))
    newest = sum(a == b for a, b in zip(shown, range(10, 1010), strict=True))
    assert 440 < newest < 560
    old = [number for place, number in enumerate(shown, 10) if number != place]
    assert len(set(old)) == len(old)  # shown once, then gone
    assert len(pool.images) == 10


def test_a_batch_is_taken_picture_by_picture():
    pool = ImagePool(3)
    images = torch.arange(5.0).view(5, 1, 1, 1)
    shown = pool.query(images, KeyedStream(0))
    assert shown[:3].flatten().tolist() == [0, 1, 2]
    kept, out = {int(image) for image in pool.images}, set(shown.flatten().int().tolist())
    assert kept | out == {0, 1, 2, 3, 4}


def test_none_are_kept_at_size_0():
    pool = ImagePool(0)
    assert fed(pool, range(5)) == [*range(5)]
    assert pool.state_dict() == {"images": []}


def test_goes_on_from_its_state():
    pool = ImagePool(4)
    fed(pool, range(20))
    other = ImagePool(4)
    other.load_state_dict(pool.state_dict())
    assert fed(pool, range(20, 40)) == fed(other, range(20, 40))


def test_what_is_kept_is_not_what_the_caller_changes_later():
    pool, image = ImagePool(1), picture(1)
    pool.query(image, KeyedStream(0))
    image.zero_()
    assert pool.images[0].sum() == 4


def test_ranks_may_bring_pictures_of_different_sizes(monkeypatch):
    """What a collective gives is equal shapes: the other rank's picture comes padded to the largest."""
    own, other = torch.rand(1, 3, 4, 6), torch.rand(1, 3, 5, 2)
    theirs = {torch.int64: torch.tensor([[5, 2]]), torch.float32: pad(other, (0, 4, 0, 0))}
    monkeypatch.setattr(module, "rank_and_world_size", lambda: (0, 2))
    monkeypatch.setattr(module, "gather_rows", lambda values: torch.cat([values, theirs[values.dtype]]))
    found = module.gather_images(own)
    assert torch.equal(found[0], own[0]) and torch.equal(found[1], other[0])
