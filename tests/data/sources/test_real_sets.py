"""Sets of real data: counts, known labels, and pixels compared with other readers."""

import gzip
from hashlib import md5

import numpy as np
import pytest
import torch
from PIL import Image

from gan_lab.common.errors import UserError
from gan_lab.data import presets


def made(preset, root, channels, classes, size, **options):
    options = {"name": "it", "batch_size": 64} | options
    return getattr(presets, preset)(str(root), channels=channels, classes=classes, size=size, **options)


@pytest.mark.parametrize(
    ("preset", "folder", "checksum"),
    [
        ("mnist", "mnist/MNIST", "e86ee40d66677c011a9abda399ec8c4d"),
        ("fashion_mnist", "fashion-mnist/FashionMNIST", "3236f6424fc25388b2834cb19942cf7e"),
    ],
)
def test_idx_sets(shared_data, preset, folder, checksum):
    data = made(preset, (shared_data / folder).parent, 1, 10, 32)
    assert (data.count("train"), data.count("test")) == (60_000, 10_000)
    labels = data.rendered("train").labels
    assert md5(labels.astype(np.uint8).tobytes()).hexdigest() == checksum
    raw = gzip.decompress((shared_data / folder / "raw/t10k-images-idx3-ubyte.gz").read_bytes())[16:]
    first = next(data.images("test", limit=3))
    assert first[..., 2:-2, 2:-2].numpy().tobytes() == raw[: 3 * 784]
    assert torch.equal(data.rendered("test").labels[:3].sum() * first[..., 0, 0], torch.zeros(3, 1))


@pytest.mark.parametrize(
    ("preset", "folder", "said"),
    [
        ("mnist", "fashion-mnist/FashionMNIST/raw", r"has FashionMNIST: give data=fashion_mnist\."),
        ("fashion_mnist", "mnist/MNIST/raw", r"has MNIST: give data=mnist\."),
    ],
)
def test_one_set_is_not_taken_for_the_other(shared_data, preset, folder, said):
    with pytest.raises(UserError, match=said):
        made(preset, shared_data / folder, 1, 10, 32).prepare_data()


def test_cifar_images_in_zips(shared_data):
    """The larger zip is only listed, because decoding it takes long."""
    root = shared_data / "cifar10-images"
    splits = made("folder", root, 3, 10, 32).source.splits()
    assert (len(splits["train"]), len(splits["test"])) == (20_000, 5_000)
    assert np.bincount(splits["train"].labels).tolist() == [2000] * 10
    data = made("folder", root / "test.zip", 3, 10, 32)
    assert (data.count("train"), data.count("test")) == (4_500, 500)
    assert data.rendered("train").scan.summary() == "4,500 images, 32×32, RGB 4,500"


def test_emoji_of_palette_and_rgb(shared_data):
    root = shared_data / "noto-emoji-blob2modern/testA"
    data = made("folder", root, 3, 0, 128)
    assert data.count("train") + data.count("test") == 184
    assert set(data.rendered("train").scan.modes) == {"P", "RGB"}
    known = {np.asarray(Image.open(path).convert("RGB")).tobytes() for path in root.glob("*.png")}
    found = torch.cat([*data.images("train"), *data.images("test")]).permute(0, 2, 3, 1)
    assert {image.numpy().tobytes() for image in found} == known


def test_faces_in_pgm_with_texts_beside_them(shared_data):
    data = made("folder", shared_data / "orl-faces", 1, 40, [56, 46])
    assert (data.count("train"), data.count("test"), data.classes) == (360, 40, 40)
    assert data.rendered("train").scan.summary() == "360 images, 92×112, L 360"
    assert (
        np.bincount(np.concatenate([data.rendered(split).labels for split in ("train", "test")])).tolist() == [10] * 40
    )
    # an exact halving keeps the mean
    paths = list((shared_data / "orl-faces").glob("s*/*.pgm"))
    mean = np.mean([np.asarray(Image.open(path)) for path in paths])
    found = torch.cat([*data.images("train"), *data.images("test")]).double().mean()
    assert found.item() == pytest.approx(mean, abs=0.5)


def test_photographs_of_mixed_modes_and_sizes(shared_data):
    data = made("folder", shared_data / "caltech101-subset", 3, None, [48, 64], crop="random", flip=True)
    assert data.count("train") + data.count("test") == 760 and data.classes == 7
    modes = sum(
        (data.rendered(split).scan.modes for split in ("train", "test")), start=type(data.rendered("test").scan.modes)()
    )
    assert modes == {"RGB": 746, "L": 14}
    assert next(iter(data.train_dataloader()))["image"].shape == (64, 3, 48, 64)


def sided(preset, root, a, size, paired, **options):
    options = {"name": "it", "batch_size": 4, "domains": {"a": a, "b": {"channels": 3}}} | options
    return getattr(presets, preset)(str(root), size=size, paired=paired, **options)


def test_streets_with_their_label_maps(shared_data):
    """The layout alone identifies them; at a third of the size, ids are those at the centers of 3 × 3 pixels."""
    data = sided("paired", shared_data / "camvid", {"labels": 11}, [120, 160], True)
    assert [len(data.source.domain_splits()[side][split]) for side in "ab" for split in ("train", "test")] == [
        367,
        101,
    ] * 2
    maps, photos = (next(data.sides[side].images("test", 3)) for side in "ab")
    files = sorted((shared_data / "camvid/val_label").glob("*.png"))
    assert maps.shape == (3, 1, 120, 160) and photos.shape == (3, 3, 120, 160)
    for found, file in zip(maps[:, 0], files, strict=False):
        assert np.array_equal(found, np.asarray(Image.open(file))[1::3, 1::3])
    photo = np.asarray(Image.open(shared_data / "camvid/val_img" / f"{files[1].stem}.jpg")).mean((0, 1))
    assert photos[1].double().mean((1, 2)).tolist() == pytest.approx(photo.tolist(), abs=1)


def test_emoji_are_unpaired_and_paired(shared_data):
    root = shared_data / "noto-emoji-blob2modern"
    files = [
        entry.name for entry in sided("unpaired", root, {}, 128, False).source.domain_splits()["a"]["test"].entries
    ]
    data = sided("paired", root, {}, 128, True)
    old, new = (next(data.sides[side].images("test", 20)) for side in "ab")
    for number in (0, 19):
        for folder, images in (("testA", old), ("testB", new)):
            known = np.asarray(Image.open(root / folder / files[number]).convert("RGB")).transpose(2, 0, 1)
            assert np.array_equal(images[number], known)
