"""The sets that conf/data names. Each takes what is particular to it, and the options of its data module."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from gan_lab.common.domains import Domain
from gan_lab.common.errors import UserError
from gan_lab.data.loading.splits import check_choice, sides
from gan_lab.data.modules.clips import ClipsDataModule, FakeClips
from gan_lab.data.modules.images import ImageDataModule
from gan_lab.data.modules.translation import TranslationDataModule
from gan_lab.data.reading.archives import ARCHIVES
from gan_lab.data.reading.download import fetch
from gan_lab.data.reading.files import Folder
from gan_lab.data.reading.pictures import Source
from gan_lab.data.sources import torchvision_sets
from gan_lab.data.sources.arrays import Digits, Fake, Stacked
from gan_lab.data.sources.domains import Derived, FakeSides, Paired, TwoFolders, Unpaired
from gan_lab.data.sources.drawn import Animals
from gan_lab.data.sources.edges import Edges
from gan_lab.data.sources.moving import MovingDigits
from gan_lab.data.sources.recordings import Recordings

SETS: dict[str, Callable[[str], Source]] = {
    "digits": lambda _: Digits(),
    "mnist": torchvision_sets.MNIST,
    "fashion_mnist": torchvision_sets.FashionMNIST,
    "cifar10": torchvision_sets.CIFAR10,
}


def digits(**options: Any) -> ImageDataModule:
    """Scikit-learn's 1,797 handwritten digits, scaled from 8 × 8."""
    return ImageDataModule(Digits(), **options)


def mnist(root: str, **options: Any) -> ImageDataModule:
    """MNIST in ``root``, downloaded if it is not there."""
    return ImageDataModule(torchvision_sets.MNIST(root), **options)


def fashion_mnist(root: str, **options: Any) -> ImageDataModule:
    """Fashion-MNIST in ``root``, downloaded if it is not there."""
    return ImageDataModule(torchvision_sets.FashionMNIST(root), **options)


def stacked_mnist(root: str, count: int, draw_seed: int, **options: Any) -> ImageDataModule:
    """Three of MNIST's digits in each picture, one a channel."""
    data = ImageDataModule(Stacked(torchvision_sets.MNIST(root), count, draw_seed), **options)
    data.stacked = True
    return data


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


def unpaired(
    root: str | None = None,
    a: str | None = None,
    b: str | None = None,
    test_a: str | None = None,
    test_b: str | None = None,
    archive: str | None = None,
    paired: bool = False,
    **options: Any,
) -> TranslationDataModule:
    """Two folders of pictures; those of a public set, named by ``archive``, are downloaded if they are not there."""
    if paired:
        raise UserError("data.paired=true does not serve for folders that are matched by nothing: give data=paired.")
    folders = TwoFolders(root, a, b, test_a, test_b)
    return TranslationDataModule(Unpaired(folders, _fetching(archive, folders)), paired=paired, **options)


def paired(
    root: str | None = None,
    a: str | None = None,
    b: str | None = None,
    test_a: str | None = None,
    test_b: str | None = None,
    direction: str = "a2b",
    archive: str | None = None,
    **options: Any,
) -> TranslationDataModule:
    """Pairs in two folders or side by side; those of a public set are downloaded if they are not there."""
    folders = TwoFolders(root, a, b, test_a, test_b)
    return TranslationDataModule(Paired(folders, direction, _fetching(archive, folders)), **options)


def _fetching(archive: str | None, folders: TwoFolders) -> Callable[[], None]:
    if archive is None or folders.root is None:
        return lambda: None
    check_choice("archive", archive, tuple(ARCHIVES))
    return partial(fetch, ARCHIVES[archive], Path(folders.root).expanduser())


def colorize(
    root: str | None, of: str | None, data_dir: str, count: int, test_count: int, **options: Any
) -> TranslationDataModule:
    """Grey pictures → the same in colour; see ``one_set``."""
    source = one_set(root, of, data_dir, count, test_count)
    return TranslationDataModule(Derived(source, lambda pictures: pictures), **options)


def edges(
    root: str | None,
    of: str | None,
    data_dir: str,
    count: int,
    test_count: int,
    sigma: float,
    low: float,
    high: float,
    **options: Any,
) -> TranslationDataModule:
    """Edge maps → the pictures; see ``one_set``, and ``gan_lab.data.sources.edges.canny`` for the last three."""
    source = one_set(root, of, data_dir, count, test_count)
    derive = partial(Edges, sigma=sigma, low=low, high=high)
    return TranslationDataModule(Derived(source, derive), **options)


def one_set(root: str | None, of: str | None, data_dir: str, count: int, test_count: int) -> Source:
    """The pictures that pairs are made from.

    Args:
        root: a folder or zip of pictures; or where the set named by ``of`` is, or shall be.
        of: "digits", "mnist", "fashion_mnist" or "cifar10"; None without a root stands for drawn animals.
        data_dir: where the set is otherwise.
        count, test_count: of drawn animals.
    """
    if of is not None:
        check_choice("of", of, tuple(SETS))
        return SETS[of](root or str(Path(data_dir) / of))
    return Folder(root) if root is not None else Animals(count, test_count)


def plain2striped(
    count: int, test_count: int, draw_seed: int, labels: bool, paired: bool, **options: Any
) -> TranslationDataModule:
    """Drawn animals in a plain coat and in a striped one; or, with ``labels``, label maps and striped ones."""
    what = ("labels" if labels else "plain", "striped")
    return TranslationDataModule(Animals(count, test_count, what, paired, draw_seed), paired=paired, **options)


def fake_sides(
    count: int, domains: Mapping[str, Any], size: int | Sequence[int], paired: bool, **options: Any
) -> TranslationDataModule:
    """Random pixels in two domains, for tests; unpaired, the second has one picture more."""
    made = {side: Domain(**domain) for side, domain in domains.items()}
    source = FakeSides(count, made, sides(size), paired)
    return TranslationDataModule(source, domains=domains, size=size, paired=paired, **options)


def moving_digits(
    root: str | None,
    count: int,
    test_count: int,
    digits: int,
    speed: Sequence[float],
    test_file: str | None,
    split_seed: int,
    **options: Any,
) -> ClipsDataModule:
    """Digits that bounce off the borders, drawn without end: MNIST's, or those that come with scikit-learn."""
    source = MovingDigits(root, count, test_count, digits, speed, test_file, split_seed)
    return ClipsDataModule(source, **options)


def frames(
    root: str, stride: int, hop: int, split_seed: int, cache: str, cache_dir: str | None, **options: Any
) -> ClipsDataModule:
    """Recordings: videos, animations, arrays and folders of frames."""
    return ClipsDataModule(Recordings(root, stride, hop, split_seed, cache, cache_dir), **options)


def fake_clips(count: int, classes: int = 0, **options: Any) -> ClipsDataModule:
    """``count`` clips of random pixels, for tests."""
    return ClipsDataModule(FakeClips(count, classes), classes=classes, **options)
