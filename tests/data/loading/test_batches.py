import numpy as np
import torch

from gan_lab.data.loading.batches import ImageBatches
from gan_lab.data.loading.rendered import Rendered
from gan_lab.data.reading.image_sets import Scan
from gan_lab.data.reading.resize import ResizeSpec


def images(size, box, n=64, labels=None):
    pixels = np.random.default_rng(0).integers(0, 256, (n, 3, *box), np.uint8)
    frame = ResizeSpec(size, box, 3)
    return Rendered(pixels, np.zeros((n, 16), np.uint8), labels, Scan(), frame)


def test_random_crops_are_windows_that_depend_on_epoch_and_row_alone():
    rendered = images((6, 5), (8, 9))
    data = ImageBatches(rendered, flip=False, seed=3)
    order = np.random.default_rng(1).permutation(64)
    image = data[2, order]["image"].numpy()
    assert image.shape == (64, 3, 6, 5) and image.dtype == np.uint8
    offsets = set()
    for row, found in zip(order, image, strict=True):
        windows = {
            (top, left): rendered.pixels[row, :, top : top + 6, left : left + 5]
            for top in range(3)
            for left in range(5)
        }
        offsets |= {offset for offset, window in windows.items() if np.array_equal(window, found)}
    assert len(offsets) == 15
    assert torch.equal(data[2, order[10:11]]["image"][0], torch.from_numpy(image[10]))
    assert not torch.equal(data[3, order]["image"], data[2, order]["image"])


def test_flips_mirror_half_of_the_images():
    rendered = images((4, 4), (4, 4), n=2000, labels=np.arange(2000))
    batch = ImageBatches(rendered, flip=True, seed=0)[0, np.arange(2000)]
    mirrored = (batch["image"].numpy() == rendered.pixels[..., ::-1]).all((1, 2, 3))
    kept = (batch["image"].numpy() == rendered.pixels).all((1, 2, 3))
    assert (mirrored | kept).all() and 900 < mirrored.sum() < 1100
    assert batch["label"].tolist() == list(range(2000)) and batch["label"].dtype == torch.int64
    assert (ImageBatches(rendered, flip=False, seed=0)[0, np.arange(9)]["image"].numpy() == rendered.pixels[:9]).all()
