"""MNIST, Fashion-MNIST and CIFAR-10 from an existing copy, or downloaded by torchvision, which checks their checksums.

An existing copy is read only. It may be packed or unpacked, in torchvision's layout or flat.
"""

import gzip
import pickle
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import torchvision

from gan_lab.common.errors import UserError
from gan_lab.common.transfer import TIMEOUT, socket_timeout
from gan_lab.data.reading.download import check_allowed
from gan_lab.data.reading.image_sets import ImageSet
from gan_lab.data.sources.arrays import ArrayImages
from gan_lab.data.types import Int64Array, UInt8Array


class MNIST:
    """60,000 + 10,000 grey images of 28 × 28 in 10 classes (satisfies ``ImageSource``).

    At 32 × 32 they have 2 black pixels on each side, and no pixel is resized.

    Args:
        root: folder that has, or will get, ``MNIST/raw/train-images-idx3-ubyte`` and the others, or their ``.gz``.
    """

    torchvision_set: type[torchvision.datasets.MNIST] = torchvision.datasets.MNIST
    prefixes = (("train", "train"), ("test", "t10k"))
    choice, train_labels = "mnist", "f52eea2c5f99c70c"
    """The choice of ``data``, and a hash of the labels of the training split."""
    class_names: Sequence[str] = tuple("0123456789")

    def __init__(self, root: str) -> None:
        self.root = Path(root).expanduser()

    def splits(self) -> dict[str, ImageSet]:
        """Returns "train" and "test".

        Raises:
            UserError: if the files are missing and cannot be downloaded, are damaged, or are those of the other set.
        """
        name = self.torchvision_set.__name__
        files = [
            f"{prefix}-{kind}" for _, prefix in self.prefixes for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")
        ]
        candidates = [self.root / name / "raw", self.root / "raw", self.root]
        raw = _first(candidates, lambda folder: all(_packed_or_not(folder / file) for file in files))
        if raw is None:
            _download(self.torchvision_set, self.root, f"{name}/raw/{files[0]}")
            raw = candidates[0]
        found: dict[str, ImageSet] = {split: self._read(raw, prefix) for split, prefix in self.prefixes}
        self._check_set(raw, found["train"].labels)
        return found

    def _check_set(self, raw: Path, labels: Int64Array | None) -> None:
        """Raises UserError if the labels are those of the other set, which is stored under the same names."""
        digest = blake2b(np.asarray(labels, np.uint8).tobytes(), digest_size=8).hexdigest()
        for other in (MNIST, FashionMNIST):
            if digest == other.train_labels != self.train_labels:
                raise UserError(f"{raw} has {other.torchvision_set.__name__}: give data={other.choice}.")

    def _read(self, raw: Path, prefix: str) -> ArrayImages:
        images, labels = read_idx(raw / f"{prefix}-images-idx3-ubyte"), read_idx(raw / f"{prefix}-labels-idx1-ubyte")
        if images.ndim != 3 or len(images) != len(labels):
            raise UserError(f"{raw} is damaged: {prefix} has {len(labels)} labels for images of shape {images.shape}.")
        return ArrayImages(images[:, None], labels.astype(np.int64), 10, padding=2, class_names=self.class_names)


class FashionMNIST(MNIST):
    """Fashion-MNIST, stored as MNIST is, with ``FashionMNIST/raw`` in ``root``."""

    torchvision_set = torchvision.datasets.FashionMNIST
    choice, train_labels = "fashion_mnist", "5a94272eea281cb1"
    class_names = (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag"),
        "Ankle boot",
    )


class CIFAR10:
    """50,000 + 10,000 RGB images of 32 × 32 in 10 classes (satisfies ``ImageSource``).

    Args:
        root: folder that has, or will get, ``cifar-10-batches-py/data_batch_1`` and the others.
    """

    class_names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    batches = (("train", [f"data_batch_{number}" for number in range(1, 6)]), ("test", ["test_batch"]))

    def __init__(self, root: str) -> None:
        self.root = Path(root).expanduser()

    def splits(self) -> dict[str, ImageSet]:
        """Returns "train" and "test".

        Raises:
            UserError: if the files are missing and cannot be downloaded, or are damaged.
        """
        files = [name for _, names in self.batches for name in names]
        candidates = [self.root / "cifar-10-batches-py", self.root]
        folder = _first(candidates, lambda folder: all((folder / file).is_file() for file in files))
        if folder is None:
            _download(torchvision.datasets.CIFAR10, self.root, "cifar-10-batches-py/data_batch_1")
            folder = candidates[0]
        return {split: _read_batches([folder / name for name in names]) for split, names in self.batches}


def read_idx(path: Path) -> UInt8Array:
    """Reads an IDX file of bytes, or ``path`` + ``.gz``, as an array of the shape that it states.

    Source: LeCun, Cortes & Burges, The MNIST database, "the IDX file format".

    Raises:
        UserError: if the file is damaged.
    """
    path = cast(Path, _packed_or_not(path))
    try:
        return _parse_idx(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())
    except (OSError, EOFError, ValueError, IndexError) as error:
        raise UserError(f"{path} is damaged ({error}): remove it, or set data.root to a good copy.") from error


def _parse_idx(content: bytes) -> UInt8Array:
    if content[:3] != b"\0\0\x08":
        raise ValueError("not an IDX file of bytes")
    shape = np.frombuffer(content, ">u4", content[3], 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * content[3]).reshape(shape)


def _packed_or_not(path: Path) -> Path | None:
    return _first([path, path.with_name(f"{path.name}.gz")], Path.is_file)


def _first(paths: Iterable[Path], condition: Callable[[Path], object]) -> Path | None:
    return next((path for path in paths if condition(path)), None)


def _download(
    dataset: type[torchvision.datasets.MNIST] | type[torchvision.datasets.CIFAR10], root: Path, file: str
) -> None:
    name = dataset.__name__
    check_allowed(name, root)
    try:
        with socket_timeout(TIMEOUT):  # torchvision sets none
            dataset(root, download=True)
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"{name} is not in {root}, and cannot be downloaded ({f'{error}'.splitlines()[0].rstrip(':')}): "
            f"set data.root to a folder that has {file}."
        ) from error


def _read_batches(paths: list[Path]) -> ArrayImages:
    images, labels = [], []
    for path in paths:
        with path.open("rb") as file:
            batch = _unpickle(file, path)
        images.append(np.asarray(batch["data"], np.uint8).reshape(-1, 3, 32, 32))
        labels.append(np.asarray(batch["labels"], np.int64))
    return ArrayImages(np.concatenate(images), np.concatenate(labels), 10, class_names=CIFAR10.class_names)


def _unpickle(file: BinaryIO, path: Path) -> dict[str, object]:
    try:
        return dict(_ArrayUnpickler(file, encoding="latin1").load())
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error}): remove it, or set data.root to a good copy.") from error


class _ArrayUnpickler(pickle.Unpickler):
    """Reads arrays and plain containers, and refuses whatever else a pickle asks to run."""

    allowed = (("multiarray", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode"))

    def find_class(self, module: str, name: str) -> object:
        """Returns a class or function that a pickle names.

        Raises:
            UnpicklingError: for anything but parts of arrays.
        """
        if (module.split(".")[-1], name) not in self.allowed:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)
