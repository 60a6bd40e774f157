"""The pool of generated images."""

import torch
from torch.nn.functional import pad

from gan_lab.training import image_pool as module
from gan_lab.training.image_pool import ImagePool
from gan_lab.training.noise import KeyedStream


def image_of(value):
    return torch.full((1, 1, 2, 2), float(value))


def query_each(pool, numbers):
    return [int(pool.query(image_of(number), KeyedStream(number))[0, 0, 0, 0]) for number in numbers]


def test_it_fills_first_and_then_returns_an_old_image_half_of_the_time():
    pool = ImagePool(10)
    assert query_each(pool, range(10)) == [*range(10)]
    returned = query_each(pool, range(10, 1010))
    newest = sum(a == b for a, b in zip(returned, range(10, 1010), strict=True))
    assert 440 < newest < 560
    old = [number for place, number in enumerate(returned, 10) if number != place]
    assert len(set(old)) == len(old)  # each is returned once
    assert len(pool.images) == 10


def test_a_batch_is_processed_image_by_image():
    pool = ImagePool(3)
    images = torch.arange(5.0).view(5, 1, 1, 1)
    returned = pool.query(images, KeyedStream(0))
    assert returned[:3].flatten().tolist() == [0, 1, 2]
    kept, out = {int(image) for image in pool.images}, set(returned.flatten().int().tolist())
    assert kept | out == {0, 1, 2, 3, 4}


def test_size_0_keeps_nothing():
    pool = ImagePool(0)
    assert query_each(pool, range(5)) == [*range(5)]
    assert pool.state_dict() == {"images": []}


def test_it_resumes_from_its_state():
    pool = ImagePool(4)
    query_each(pool, range(20))
    other = ImagePool(4)
    other.load_state_dict(pool.state_dict())
    assert query_each(pool, range(20, 40)) == query_each(other, range(20, 40))


def test_images_are_copied():
    pool, image = ImagePool(1), image_of(1)
    pool.query(image, KeyedStream(0))
    image.zero_()
    assert pool.images[0].sum() == 4


def test_images_of_different_sizes_are_gathered(monkeypatch):
    """A collective needs equal shapes: the other rank's image comes padded to the largest."""
    own, other = torch.rand(1, 3, 4, 6), torch.rand(1, 3, 5, 2)
    theirs = {torch.int64: torch.tensor([[5, 2]]), torch.float32: pad(other, (0, 4, 0, 0))}
    monkeypatch.setattr(module, "rank_and_world_size", lambda: (0, 2))
    monkeypatch.setattr(module, "gather_rows", lambda values: torch.cat([values, theirs[values.dtype]]))
    gathered = module.gather_images(own)
    assert torch.equal(gathered[0], own[0]) and torch.equal(gathered[1], other[0])
