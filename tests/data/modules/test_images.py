import os
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from lightning.pytorch import LightningModule, Trainer

from gan_lab.common.capabilities import RealImages
from gan_lab.common.errors import UserError
from gan_lab.common.images import to_uint8
from gan_lab.data import presets
from gan_lab.data.modules.images import ImageDataModule
from gan_lab.data.sources.arrays import ArrayImages


class Numbered:
    """n images of 4 × 4 whose pixels are their number; they have a test split if ``test`` is given."""

    def __init__(self, n, test=None, classes=0):
        self.n, self.test, self.classes = n, test, classes

    def splits(self):
        train = self._images(range(self.n))
        return {"train": train, "test": self._images(range(200, 200 + self.test))} if self.test else {"all": train}

    def _images(self, numbers):
        values = np.array(numbers, np.uint8)
        labels = values.astype(np.int64) % self.classes if self.classes else None
        return ArrayImages(np.tile(values[:, None, None, None], (1, 1, 4, 4)), labels, self.classes)


def module(source, **options):
    return ImageDataModule(source, **{"name": "it", "channels": 1, "classes": 0, "size": 4, "batch_size": 4} | options)


def numbers(data, split, limit=None):
    return [int(value) for batch in data.images(split, limit) for value in batch[:, 0, 0, 0]]


def test_the_module_satisfies_its_capability():
    data = module(Numbered(30, test=5, classes=3), classes=3)
    assert isinstance(data, RealImages)
    assert (data.channels, data.height, data.width, data.classes) == (1, 4, 4, 3)
    assert (data.count("train"), data.count("test")) == (30, 5)
    assert numbers(data, "train", limit=7) == list(range(7))
    assert numbers(data, "test") == list(range(200, 205))
    assert next(data.images("test")).dtype == torch.uint8
    assert data.fingerprint("train") == module(Numbered(30, test=9)).fingerprint("train") != data.fingerprint("test")
    described = data.describe()
    assert described["splits"]["train"]["count"] == 30 and described["size"] == [4, 4]


def test_the_held_out_tenth_does_not_depend_on_the_seed_of_the_run():
    splits = [[numbers(module(Numbered(50), seed=seed), split) for split in ("train", "test")] for seed in (0, 1)]
    train, test = splits[0]
    assert splits[0] == splits[1]
    assert len(test) == 5 and sorted(train + test) == list(range(50)) and train == sorted(train)
    assert numbers(module(Numbered(50), split_seed=1), "test") != test


def test_limit_applies_to_training_alone():
    data = module(Numbered(50), limit=6)
    assert len(numbers(data, "train")) == 6 and set(numbers(data, "train")) <= set(
        numbers(module(Numbered(50)), "train")
    )
    assert numbers(data, "test") == numbers(module(Numbered(50)), "test")
    assert data.describe()["limit"] == 6
    assert numbers(data, "whole") == numbers(module(Numbered(50)), "train") == numbers(module(Numbered(50)), "whole")
    assert module(Numbered(50), limit=1000).count("train") == 45


def test_a_folder_that_is_too_large_for_the_cache_is_refused_with_the_command_that_packs_it(make_folder, monkeypatch):
    root = make_folder([f"{number}.png" for number in range(12)])
    monkeypatch.setattr("gan_lab.data.modules.images.MAX_CACHE", 11 * 3 * 64 - 1)
    options = {"name": "folder", "channels": 3, "classes": 0, "size": 8, "batch_size": 2}
    command = rf"gan_lab.pack data=folder data.root={root} size=8 format=shards split=all output=shards"
    with pytest.raises(UserError, match=command):
        presets.folder(str(root), **options).prepare_data()
    presets.folder(str(root), **options, limit=10).decoded("train")
    presets.folder(str(root), **options, cache="packed").decoded("train")


@pytest.mark.parametrize(("stated", "found"), [(3, 3), (None, 3), (0, 0)])
def test_batches_have_labels_if_there_are_classes(stated, found):
    data = module(Numbered(30, test=5, classes=3), classes=stated)
    batch = next(iter(data.train_dataloader()))
    assert data.classes == found
    assert ("label" in batch) == bool(found)
    if found:
        assert torch.equal(batch["label"], batch["image"][:, 0, 0, 0].long() % 3)


class Seen(LightningModule):
    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.batches = []

    def training_step(self, batch, batch_idx):
        self.batches.append(batch["image"])

    def configure_optimizers(self):
        return None


@pytest.mark.filterwarnings("ignore")
def test_training_batches_are_floats_in_minus_one_to_one(tmp_path):
    seen, data = Seen(), module(Numbered(255, test=1), batch_size=255, seed=2)
    trainer = Trainer(
        max_epochs=2,  # of one batch each
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(seen, datamodule=data)
    first, second = seen.batches
    assert first.dtype == torch.float32 and first.min() == -1 and first.max() == pytest.approx(254 / 127.5 - 1)
    orders = [to_uint8(batch)[:, 0, 0, 0].tolist() for batch in (first, second)]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(255)) and orders[0] != orders[1]


def test_random_crops_have_a_margin_and_metrics_get_center_crops():
    source = presets.fake(8, 3, [8, 16], 0, name="f", batch_size=4).source
    data = ImageDataModule(source, "f", 3, 0, [8, 16], 4, crop="random", flip=True)
    assert data.resize_spec.target_size == (9, 18)
    assert next(data.images("train")).shape == (8, 3, 8, 16)
    assert next(iter(data.train_dataloader()))["image"].shape == (4, 3, 8, 16)
    assert "random crop from 18×9" in data.describe()["splits"]["train"]["transform"]


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"size": 0}, r"data\.size=0 "),
        ({"size": [4]}, r"data\.size=\[4\] "),
        ({"size": [4, -1]}, r"data\.size=\[4, -1\] "),
        ({"size": None}, r"data\.size=None "),
        ({"crop": "corner"}, r"data\.crop=corner .*center, random"),
        ({"cache": "ram"}, r"data\.cache=ram .*auto, memory, disk"),
        ({"limit": 0}, r"data\.limit=0 "),
        ({"channels": 2}, r"data\.channels=2 "),
        ({"classes": 7}, r"data\.classes=7, but it has 3 classes"),
        ({"batch_size": 31}, "fewer than batch_size=31"),
    ],
)
def test_invalid_values_are_refused_in_one_sentence(options, what):
    with pytest.raises(UserError, match=what) as refusal:
        module(Numbered(30, test=5, classes=3), **options).train_dataloader()
    assert "\n" not in str(refusal.value)


def test_one_image_cannot_be_split():
    with pytest.raises(UserError, match="single image"):
        module(Numbered(1)).setup("fit")


def test_digits_are_those_of_scikit_learn():
    data = presets.digits(name="digits", channels=1, classes=10, size=32, batch_size=64)
    assert (data.count("train"), data.count("test")) == (1617, 180)
    from sklearn.datasets import load_digits

    digits = load_digits()
    small = presets.digits(name="digits", channels=1, classes=10, size=8, batch_size=64, split_seed=0)
    pixels = torch.cat(list(small.images("train")))[:, 0].double() * 16 / 255
    known = {tuple(image.ravel().astype(int)) for image in digits.images}
    assert {tuple(row) for row in pixels.flatten(1).round().int().tolist()} <= known
    labels = small.rendered("train").labels
    assert np.bincount(labels).min() > 140


def write_idx(folder, gzipped=False):
    import gzip

    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    written = {}
    for prefix, count in (("train", 12), ("t10k", 4)):
        images, labels = rng.integers(0, 256, (count, 28, 28), np.uint8), rng.integers(0, 10, count, np.uint8)
        written[prefix] = images
        for name, array in (("images-idx3-ubyte", images), ("labels-idx1-ubyte", labels)):
            head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
            content = head + array.tobytes()
            file = folder / f"{prefix}-{name}{'.gz' if gzipped else ''}"
            file.write_bytes(gzip.compress(content) if gzipped else content)
    return written


def mnist(root, **options):
    return presets.mnist(
        str(root), **{"name": "m", "channels": 1, "classes": 10, "size": 28, "batch_size": 4} | options
    )


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("below", ["MNIST/raw", "raw", "."])
def test_an_existing_copy_is_only_read(tmp_path, monkeypatch, gzipped, below):
    root = tmp_path / "copy"
    written = write_idx(root / below, gzipped)
    monkeypatch.setattr(torchvision.datasets.MNIST, "download", lambda self: pytest.fail("fetched"))
    before = sorted(root.rglob("*"))
    data = mnist(root)
    assert np.array_equal(torch.cat(list(data.images("train")))[:, 0], written["train"])
    assert data.count("test") == 4
    assert sorted(root.rglob("*")) == before


def test_a_missing_set_is_downloaded_into_the_root(tmp_path, monkeypatch):
    monkeypatch.setattr(
        torchvision.datasets.MNIST,
        "download",
        lambda self: None if self._check_exists() else write_idx(Path(self.raw_folder)),
    )
    assert mnist(tmp_path / "new").count("train") == 12
    assert (tmp_path / "new/MNIST/raw/train-images-idx3-ubyte").is_file()


@pytest.mark.parametrize("preset", ["mnist", "fashion_mnist", "cifar10"])
def test_the_error_without_a_network_names_the_root(tmp_path, monkeypatch, preset):
    def unreachable(*_, **__):
        raise RuntimeError("Error downloading train-images-idx3-ubyte.gz:\nTried …")

    monkeypatch.setattr(torchvision.datasets.MNIST, "download", unreachable)
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "download", unreachable)
    with pytest.raises(UserError, match=r"cannot be downloaded .*set data\.root to a folder that has") as refusal:
        getattr(presets, preset)(str(tmp_path), name="it", channels=1, classes=10, size=32, batch_size=4).prepare_data()
    assert "\n" not in str(refusal.value)


def test_a_damaged_copy_is_refused(tmp_path):
    write_idx(tmp_path / "raw", gzipped=True)
    file = tmp_path / "raw/train-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte\.gz is damaged"):
        mnist(tmp_path).prepare_data()


def write_cifar(folder, rows=3):
    import pickle

    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    written = {}
    for name in [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]:
        written[name] = rng.integers(0, 256, (rows, 3072), np.uint8)
        batch = {"data": written[name], "labels": [number % 10 for number in range(rows)]}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    return written


@pytest.mark.parametrize("below", ["cifar-10-batches-py", "."])
def test_cifar10_batches(tmp_path, below):
    root = tmp_path / "copy"
    written = write_cifar(root / below)
    data = presets.cifar10(str(root), name="c", channels=3, classes=10, size=32, batch_size=4)
    train = torch.cat(list(data.images("train")))
    assert train.shape == (15, 3, 32, 32) and data.count("test") == 3
    red, green = written["data_batch_2"][1].reshape(3, 32, 32)[
        :2
    ]  # the set's page: 1,024 red values by rows, then green
    assert np.array_equal(train[4, 0], red) and np.array_equal(train[4, 1], green)
    assert data.rendered("train").labels.tolist() == [0, 1, 2] * 5


def test_a_pickle_runs_nothing(tmp_path):
    import pickle

    class Harm:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "harm"),)

    write_cifar(tmp_path / "copy")
    (tmp_path / "copy/data_batch_1").write_bytes(pickle.dumps({"data": Harm()}))
    with pytest.raises(UserError, match=r"data_batch_1 is damaged \(it asks for .*mkdir\)"):
        presets.cifar10(str(tmp_path / "copy"), name="c", channels=3, classes=10, size=32, batch_size=4).prepare_data()
    assert not (tmp_path / "harm").exists()


def test_a_resumed_run_knows_images_and_classes_again():
    known = module(Numbered(30, classes=3), classes=3).identities()
    assert {split: each["count"] for split, each in known.items()} == {"train": 27, "test": 3}
    same = {"seed": 5, "batch_size": 2, "flip": True, "binarize": "static"}
    assert module(Numbered(30, classes=3), classes=3, **same).identities() == known
    assert module(Numbered(31, classes=3), classes=3).identities() != known
    relabelled = module(Numbered(30, classes=4), classes=4).identities()
    assert all(relabelled[split]["hash"] != each["hash"] for split, each in known.items())
    unlabelled = {"classes": 0}
    assert (
        module(Numbered(30, classes=3), **unlabelled).identities()
        == module(Numbered(30, classes=4), **unlabelled).identities()
    )
