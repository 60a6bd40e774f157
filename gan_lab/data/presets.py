"""Functions that conf/data names. Each takes the options of its source, and those of a data module as keywords."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Required, TypedDict, Unpack

from gan_lab.common.bounds import Natural, NonNegative, PositiveFloat, PositiveInt, Seed
from gan_lab.common.domains import Domain
from gan_lab.common.errors import UserError
from gan_lab.data.checks import check_choice, parse_size
from gan_lab.data.damage.draws import Damage
from gan_lab.data.modules.clips import ClipsDataModule
from gan_lab.data.modules.domains import DomainsDataModule
from gan_lab.data.modules.images import ImageDataModule
from gan_lab.data.modules.own_pairs import OwnPairsDataModule
from gan_lab.data.modules.restoration import RestorationDataModule
from gan_lab.data.modules.streams import StreamDataModule
from gan_lab.data.modules.translation import TranslationDataModule
from gan_lab.data.reading.archives import ARCHIVES
from gan_lab.data.reading.download import fetch
from gan_lab.data.reading.files import ImageFolder
from gan_lab.data.reading.image_sets import ImageSource
from gan_lab.data.reading.parquet import has_parquet
from gan_lab.data.shards.places import ShardFolder
from gan_lab.data.shards.source import ShardSource
from gan_lab.data.sources import torchvision_sets
from gan_lab.data.sources.arrays import Digits, FakeImages, StackedImages
from gan_lab.data.sources.clip_arrays import FakeClips
from gan_lab.data.sources.domains import DerivedPairs, DomainFolders, FakeDomains, PairedFolders, UnpairedFolders
from gan_lab.data.sources.edges import EdgeMaps
from gan_lab.data.sources.hub import HubImages
from gan_lab.data.sources.labelled import LabelledFolders, LabelledPairs
from gan_lab.data.sources.labelled_layouts import CITYSCAPES
from gan_lab.data.sources.many_domains import ManyDomains
from gan_lab.data.sources.moving import MovingDigits
from gan_lab.data.sources.parquet import ParquetImages
from gan_lab.data.sources.recordings import Recordings
from gan_lab.data.sources.synthetic_domains import SyntheticAnimals

SETS: dict[str, Callable[[str], ImageSource]] = {
    "digits": lambda _: Digits(),
    "mnist": torchvision_sets.MNIST,
    "fashion_mnist": torchvision_sets.FashionMNIST,
    "cifar10": torchvision_sets.CIFAR10,
}
"""Sets that pairs can be made from, by name: root → source."""


class LoaderOptions(TypedDict, total=False):
    """Options that every data module takes."""

    name: Required[str]
    batch_size: Required[PositiveInt]
    seed: Seed
    flip: bool
    workers: Natural


class CacheOptions(TypedDict, total=False):
    """Options of data modules that split a set of images and cache decoded pixels."""

    limit: PositiveInt | None
    split_seed: Seed
    cache: str
    cache_dir: str | None


class FakeImageOptions(LoaderOptions, CacheOptions, total=False):
    """Options of ``ImageDataModule``, without channels, size and classes."""

    crop: str
    binarize: str | None
    binarize_seed: Seed


class ImageOptions(FakeImageOptions, total=False):
    """Options of ``ImageDataModule``."""

    channels: Required[PositiveInt]
    classes: Required[Natural | None]
    size: Required[PositiveInt | Sequence[PositiveInt]]


class StreamOptions(LoaderOptions, total=False):
    """Options of ``StreamDataModule``."""

    channels: Required[PositiveInt]
    classes: Required[Natural | None]
    size: Required[PositiveInt | Sequence[PositiveInt]]
    limit: PositiveInt | None
    crop: str
    lanes: PositiveInt
    shuffle: PositiveInt


class FakeDomainsOptions(LoaderOptions, CacheOptions, total=False):
    """Options of ``DomainsDataModule``, without channels, size and classes."""

    crop: str
    references: bool


class DomainsOptions(FakeDomainsOptions, total=False):
    """Options of ``DomainsDataModule``."""

    channels: Required[PositiveInt]
    classes: Required[Natural | None]
    size: Required[PositiveInt | Sequence[PositiveInt]]


class RestorationOptions(LoaderOptions, CacheOptions, total=False):
    """Options of ``RestorationDataModule`` and of pairs of one's own."""

    channels: Required[PositiveInt]
    size: Required[PositiveInt | Sequence[PositiveInt]]


class FakeDomainOptions(LoaderOptions, CacheOptions, total=False):
    """Options of ``TranslationDataModule``, without domains, size and pairing."""

    preprocess: str
    load_size: PositiveInt | Sequence[PositiveInt] | None


class LabelledOptions(FakeDomainOptions, total=False):
    """Options of ``TranslationDataModule``, without domains."""

    size: Required[PositiveInt | Sequence[PositiveInt]]
    paired: Required[bool]


class UnpairedOptions(FakeDomainOptions, total=False):
    """Options of ``TranslationDataModule``, without pairing."""

    domains: Required[Mapping[str, Mapping[str, Any]]]
    size: Required[PositiveInt | Sequence[PositiveInt]]


class PairedOptions(UnpairedOptions, total=False):
    """Options of ``TranslationDataModule``."""

    paired: Required[bool]


class FakeClipOptions(LoaderOptions, total=False):
    """Options of ``ClipsDataModule``, without classes."""

    channels: Required[PositiveInt]
    size: Required[PositiveInt | Sequence[PositiveInt]]
    length: Required[PositiveInt]


class ClipOptions(FakeClipOptions, total=False):
    """Options of ``ClipsDataModule``."""

    classes: Natural


def digits(**options: Unpack[ImageOptions]) -> ImageDataModule:
    """Returns scikit-learn's 1,797 handwritten digits, resized from 8 × 8."""
    return ImageDataModule(Digits(), **options)


def mnist(root: str, **options: Unpack[ImageOptions]) -> ImageDataModule:
    """Returns MNIST in ``root``, where it is downloaded if it is missing."""
    return ImageDataModule(torchvision_sets.MNIST(root), **options)


def fashion_mnist(root: str, **options: Unpack[ImageOptions]) -> ImageDataModule:
    """Returns Fashion-MNIST in ``root``, where it is downloaded if it is missing."""
    return ImageDataModule(torchvision_sets.FashionMNIST(root), **options)


def stacked_mnist(root: str, count: PositiveInt, draw_seed: Seed, **options: Unpack[ImageOptions]) -> ImageDataModule:
    """Returns images with three of MNIST's digits as their channels, chosen by ``draw_seed``."""
    data = ImageDataModule(StackedImages(torchvision_sets.MNIST(root), count, draw_seed), **options)
    data.stacked = True
    return data


def cifar10(root: str, **options: Unpack[ImageOptions]) -> ImageDataModule:
    """Returns CIFAR-10 in ``root``, where it is downloaded if it is missing."""
    return ImageDataModule(torchvision_sets.CIFAR10(root), **options)


def folder(root: str, class_order: str = "natural", **options: Unpack[ImageOptions]) -> ImageDataModule:
    """Returns the images of a folder or zip."""
    return ImageDataModule(ImageFolder(root, class_order), **options)


def parquet(
    root: str,
    split: str | None = None,
    test_split: str | None = None,
    column: str | None = None,
    label: str | None = None,
    **options: Unpack[ImageOptions],
) -> ImageDataModule:
    """Returns the images of a parquet file, or of a folder of them; see ``ParquetImages``."""
    return ImageDataModule(ParquetImages(root, split, test_split, column, label), **options)


def hub(
    root: str | None = None,
    subset: str | None = None,
    revision: str | None = None,
    split: str | None = None,
    test_split: str | None = None,
    column: str | None = None,
    label: str | None = None,
    **options: Unpack[ImageOptions],
) -> ImageDataModule:
    """Returns a data set of Hugging Face's hub, or one in a local folder; see ``HubImages`` and ``ParquetImages``."""
    asked = split, test_split, column, label
    if root is not None and has_parquet(Path(root).expanduser()):
        return ImageDataModule(ParquetImages(root, *asked), **options)
    source = HubImages(options["name"], root, subset, revision, *asked)
    return ImageDataModule(source, **options)


def stream(
    root: str, room: PositiveFloat = 64, cache_dir: str | None = None, **options: Unpack[StreamOptions]
) -> StreamDataModule:
    """Returns images in shards, in a folder or at a URL; see ``ShardFolder``."""
    return StreamDataModule(ShardSource(ShardFolder(root, room, cache_dir), cache_dir), **options)


def domains(
    root: str,
    class_order: str = "natural",
    attributes: str | None = None,
    chosen: Sequence[str] | None = None,
    **options: Unpack[DomainsOptions],
) -> DomainsDataModule:
    """Returns images of many domains, in a folder or zip; see ``ManyDomains``."""
    source = ManyDomains(root, class_order, attributes, chosen or ())
    return DomainsDataModule(source, attributes=source.num_attributes, **options)


def fake_many_domains(
    count: PositiveInt,
    channels: PositiveInt,
    size: PositiveInt | Sequence[PositiveInt],
    classes: Natural,
    **options: Unpack[FakeDomainsOptions],
) -> DomainsDataModule:
    """Returns ``count`` images of random pixels in ``classes`` domains, for tests."""
    source = FakeImages(count, channels, parse_size(size), classes)
    return DomainsDataModule(source, channels=channels, size=size, classes=classes, **options)


def fake(
    count: PositiveInt,
    channels: PositiveInt,
    size: PositiveInt | Sequence[PositiveInt],
    classes: Natural,
    **options: Unpack[FakeImageOptions],
) -> ImageDataModule:
    """Returns ``count`` images of random pixels, for tests."""
    source = FakeImages(count, channels, parse_size(size), classes)
    return ImageDataModule(source, channels=channels, size=size, classes=classes, **options)


def unpaired(
    root: str | None = None,
    a: str | None = None,
    b: str | None = None,
    test_a: str | None = None,
    test_b: str | None = None,
    archive: str | None = None,
    paired: bool = False,
    **options: Unpack[UnpairedOptions],
) -> TranslationDataModule:
    """Returns two folders of images; a public set, named by ``archive``, is downloaded if it is missing.

    Raises:
        UserError: for ``paired=True``, because nothing matches the images of the two folders.
    """
    if paired:
        raise UserError("data.paired=true is not valid for folders whose images are not matched: give data=paired.")
    folders = DomainFolders(root, a, b, test_a, test_b)
    return TranslationDataModule(UnpairedFolders(folders, _download(archive, folders)), paired=paired, **options)


def paired(
    root: str | None = None,
    a: str | None = None,
    b: str | None = None,
    test_a: str | None = None,
    test_b: str | None = None,
    direction: str = "a2b",
    archive: str | None = None,
    **options: Unpack[PairedOptions],
) -> TranslationDataModule:
    """Returns pairs in two folders or side by side; a public set is downloaded if it is missing."""
    folders = DomainFolders(root, a, b, test_a, test_b)
    return TranslationDataModule(PairedFolders(folders, direction, _download(archive, folders)), **options)


def labelled(
    domains: Mapping[str, Mapping[str, Any]],
    root: str | None = None,
    images_folder: str | None = None,
    labels_folder: str | None = None,
    instances_folder: str | None = None,
    test_images_folder: str | None = None,
    test_labels_folder: str | None = None,
    test_instances_folder: str | None = None,
    ids: str | None = None,
    **options: Unpack[LabelledOptions],
) -> TranslationDataModule:
    """Returns pairs of a label map and its photograph; what "a" of ``domains`` leaves open is found in the folders.

    See ``gan_lab.data.sources.labelled.LabelledFolders``.

    Raises:
        UserError: for another value of ``ids``, folders without a known layout, and classes that are not known.
    """
    if ids is not None:
        check_choice("ids", ids, tuple(CITYSCAPES))
    named = (images_folder, labels_folder, instances_folder)
    tests = (test_images_folder, test_labels_folder, test_instances_folder)
    folders = LabelledFolders(root, *named, *tests, ids)
    given = domains.get("a", {})
    domain = folders.domain(*(given.get(key) for key in ("labels", "ids", "unknown", "instances")))
    source = LabelledPairs(folders, Domain(**domain))
    return TranslationDataModule(source, domains={"a": domain, "b": domains["b"]}, **options)


def _download(archive: str | None, folders: DomainFolders) -> Callable[[], None]:
    """Returns a function that downloads a public set into the root, if there is a root and it is missing."""
    if archive is None or folders.root is None:
        return lambda: None
    check_choice("archive", archive, tuple(ARCHIVES))
    return partial(fetch, ARCHIVES[archive], Path(folders.root).expanduser())


def colorize(
    root: str | None,
    of: str | None,
    data_dir: str,
    count: PositiveInt,
    test_count: PositiveInt,
    **options: Unpack[PairedOptions],
) -> TranslationDataModule:
    """Returns pairs of a grey image and the same in colour; see ``source_of_images``."""
    source = source_of_images(root, of, data_dir, count, test_count)
    return TranslationDataModule(DerivedPairs(source, lambda images: images), **options)


def edges(
    root: str | None,
    of: str | None,
    data_dir: str,
    count: PositiveInt,
    test_count: PositiveInt,
    sigma: NonNegative,
    low: NonNegative,
    high: NonNegative,
    **options: Unpack[PairedOptions],
) -> TranslationDataModule:
    """Returns pairs of an edge map and its image.

    See ``source_of_images``, and ``gan_lab.data.sources.edges.canny`` for ``sigma``, ``low`` and ``high``.
    """
    source = source_of_images(root, of, data_dir, count, test_count)
    derive = partial(EdgeMaps, sigma=sigma, low=low, high=high)
    return TranslationDataModule(DerivedPairs(source, derive), **options)


def source_of_images(root: str | None, of: str | None, data_dir: str, count: int, test_count: int) -> ImageSource:
    """Returns the images that pairs, or damaged images, are made from.

    Args:
        root: a folder or zip of images; if ``of`` names a set, the folder that has it or will get it.
        of: "digits", "mnist", "fashion_mnist" or "cifar10"; None without a root stands for drawings of animals.
        data_dir: folder of the set if there is no root.
        count, test_count: numbers of drawings.

    Raises:
        UserError: for another set.
    """
    if of is not None:
        check_choice("of", of, tuple(SETS))
        return SETS[of](root or str(Path(data_dir) / of))
    return ImageFolder(root) if root is not None else SyntheticAnimals(count, test_count)


def restoration(
    root: str | None,
    of: str | None,
    data_dir: str,
    count: PositiveInt,
    test_count: PositiveInt,
    damage: Damage | None,
    damaged: str | None = None,
    clean: str | None = None,
    test_damaged: str | None = None,
    test_clean: str | None = None,
    resize: str = "keep",
    **options: Unpack[RestorationOptions],
) -> RestorationDataModule | OwnPairsDataModule:
    """Returns images and the same after damage, see ``source_of_images``, or pairs of one's own.

    Raises:
        UserError: without damage or pairs, and for pairs with unknown pixels.
    """
    if damaged is not None or clean is not None:
        if damage is not None and damage.masks:
            raise UserError("Pairs say nothing of unknown pixels: leave out data.damaged= and data.clean=.")
        keys = {"a": "damaged", "b": "clean"}
        folders = DomainFolders(root, damaged, clean, test_damaged, test_clean, keys)
        factor = 1 if damage is None else damage.factor
        return OwnPairsDataModule(PairedFolders(folders), factor, **options)
    if damage is None:
        raise UserError("data=restoration needs a damage: give damage=gaussian_noise, or a model that restores.")
    source = source_of_images(root, of, data_dir, count, test_count)
    return RestorationDataModule(source, damage, resize=resize, **options)


def plain2striped(
    count: PositiveInt,
    test_count: PositiveInt,
    draw_seed: Seed,
    labels: bool,
    paired: bool,
    **options: Unpack[UnpairedOptions],
) -> TranslationDataModule:
    """Returns drawings of animals in a plain and in a striped coat; with ``labels``, label maps and striped ones."""
    contents = ("labels" if labels else "plain", "striped")
    source = SyntheticAnimals(count, test_count, contents, paired, draw_seed)
    return TranslationDataModule(source, paired=paired, **options)


def fake_domains(
    count: PositiveInt,
    domains: Mapping[str, Mapping[str, Any]],
    size: PositiveInt | Sequence[PositiveInt],
    paired: bool,
    **options: Unpack[FakeDomainOptions],
) -> TranslationDataModule:
    """Returns random pixels in two domains, for tests; the second unpaired domain has one image more."""
    specs = {side: Domain(**domain) for side, domain in domains.items()}
    source = FakeDomains(count, specs, parse_size(size), paired)
    return TranslationDataModule(source, domains=domains, size=size, paired=paired, **options)


def moving_digits(
    root: str | None,
    count: PositiveInt,
    test_count: PositiveInt,
    digits: PositiveInt,
    speed: Sequence[NonNegative],
    test_file: str | None,
    split_seed: Seed,
    **options: Unpack[ClipOptions],
) -> ClipsDataModule:
    """Returns moving digits of MNIST or scikit-learn that bounce off the borders, generated endlessly."""
    source = MovingDigits(root, count, test_count, digits, speed, test_file, split_seed)
    return ClipsDataModule(source, **options)


def frames(
    root: str,
    stride: PositiveInt,
    hop: PositiveInt,
    split_seed: Seed,
    cache: str,
    cache_dir: str | None,
    **options: Unpack[ClipOptions],
) -> ClipsDataModule:
    """Returns clips of recordings: videos, animations, arrays and folders of frames."""
    return ClipsDataModule(Recordings(root, stride, hop, split_seed, cache, cache_dir), **options)


def fake_clips(count: PositiveInt, classes: Natural = 0, **options: Unpack[FakeClipOptions]) -> ClipsDataModule:
    """Returns ``count`` clips of random pixels, for tests."""
    return ClipsDataModule(FakeClips(count, classes), classes=classes, **options)
