"""The sets that conf/data names. Each takes what is particular to it, and the options of ``ImageDataModule``."""

from collections.abc import Sequence
from typing import Any

from gan_lab.data import torchvision_sets
from gan_lab.data.arrays import Digits, Fake
from gan_lab.data.files import Folder
from gan_lab.data.module import ImageDataModule, sides


def digits(**options: Any) -> ImageDataModule:
    """Scikit-learn's 1,797 handwritten digits, scaled from 8 × 8."""
    return ImageDataModule(Digits(), **options)


def mnist(root: str, **options: Any) -> ImageDataModule:
    """MNIST in ``root``, downloaded if it is not there."""
    return ImageDataModule(torchvision_sets.MNIST(root), **options)


def fashion_mnist(root: str, **options: Any) -> ImageDataModule:
    """Fashion-MNIST in ``root``, downloaded if it is not there."""
    return ImageDataModule(torchvision_sets.FashionMNIST(root), **options)


def cifar10(root: str, **options: Any) -> ImageDataModule:
    """CIFAR-10 in ``root``, downloaded if it is not there."""
    return ImageDataModule(torchvision_sets.CIFAR10(root), **options)


def folder(root: str, **options: Any) -> ImageDataModule:
    """A folder or zip of pictures."""
    return ImageDataModule(Folder(root), **options)


def fake(count: int, channels: int, size: int | Sequence[int], classes: int, **options: Any) -> ImageDataModule:
    """``count`` pictures of random pixels, for tests."""
    source = Fake(count, channels, sides(size), classes)
    return ImageDataModule(source, channels=channels, size=size, classes=classes, **options)
