"""The agreement of generated images with their label maps: a segmenter should find the map in the image.

Isola et al. 2017 (pix2pix), section 3.4, the "FCN score", and Park et al. 2019 (SPADE), section 4.
"""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn

from gan_lab.common.bounds import Natural, PositiveInt, Seed
from gan_lab.common.capabilities import Translates, TwoDomains
from gan_lab.common.distributed import rank_and_world_size
from gan_lab.common.images import to_float, to_uint8
from gan_lab.common.precision import full_precision
from gan_lab.data.subsets import capped_count, evenly_spaced
from gan_lab.evaluation.cache import cached_apart
from gan_lab.evaluation.image_sets import HasSizes
from gan_lab.evaluation.metrics.shared_parts import shared_parts
from gan_lab.evaluation.model_metric import DEFAULT_OPTIONS, EvalOptions, TranslationMetric
from gan_lab.evaluation.statistics import NotApplicableError, Values
from gan_lab.evaluation.trained_segmenter import Confusion, MakeSegmenter, overlaps, pixel_accuracy, train_segmenter
from gan_lab.inference.translation import SPLIT, ends, translated
from gan_lab.networks.segmentation import SegmentationUNet

VERSION = 1
"""Version of the training: increment it when the segmenter changes."""


class Segmentation(TranslationMetric[Translates]):
    """``miou_a2b`` and ``pixel_accuracy_a2b`` of a segmenter on images that were generated from test label maps.

    The segmenter is trained once for a data set, on its real training images, and kept in the cache. ``.real`` are its
    values on the real test images, the best that can be expected. The mean intersection over union is that of the
    classes in the test maps; pixels without a class do not count.

    Args:
        segmenter: a class, or a partial of it, that makes a network of channels and classes: images (N, C, H, W) in
            [-1, 1] → logits (N, K, H, W).
        n_train: maximal number of training images, evenly spaced.
        steps: of training; 0 for a segmenter that is trained already.
        batch_size: images of a step.
        seed: of the segmenter's weights and batches.
        max_n: maximal number of test images.
    """

    def __init__(
        self,
        segmenter: MakeSegmenter = SegmentationUNet,
        n_train: PositiveInt = 2000,
        steps: Natural = 1000,
        batch_size: PositiveInt = 8,
        seed: Seed = 0,
        max_n: PositiveInt | None = None,
    ) -> None:
        super().__init__()
        self.segmenter, self.n_train, self.steps, self.batch_size = segmenter, n_train, steps, batch_size
        self.seed, self.max_n = seed, max_n
        self.tables: dict[str, Confusion] = {}

    def applies_to(self, model: object, data: object) -> bool:
        """Tells whether the model translates label maps to images, and the data are such pairs."""
        return (
            isinstance(model, Translates) and isinstance(data, TwoDomains) and data.paired and bool(_directions(model))
        )

    @torch.no_grad()
    @full_precision()
    def update(self, model: Translates, data: TwoDomains, options: EvalOptions = DEFAULT_OPTIONS) -> None:
        """Segments this rank's share of the test images, real and generated.

        Raises:
            NotApplicableError: if training images differ in size.
        """
        counts = {each: capped_count(data.sides[ends(each)[0]], "train", self.n_train) for each in _directions(model)}
        self.described = {"segmenter": _name(self.segmenter), "trained_on": counts}
        for direction in counts:
            network = self._trained(data, direction, options)
            count = capped_count(data.sides[ends(direction)[0]], SPLIT, self.max_n)
            self._compare(model, data, direction, network, count, options)

    def _compare(
        self, model: Translates, data: TwoDomains, direction: str, network: nn.Module, n: int, options: EvalOptions
    ) -> None:
        source, target = ends(direction)
        labels, parts = model.domains[source], (SPLIT, n, options.batch_size)
        tables = [Confusion(labels.labels).to(self.device) for _ in range(2)]
        self.tables |= dict(zip((direction, f"{direction}.real"), tables, strict=True))
        sources = shared_parts(data.sides[source], *parts, "segmentation", options.progress)
        targets = shared_parts(data.sides[target], *parts, "", progress=False)
        for (start, maps), (_, real) in zip(sources, targets, strict=True):
            maps, index = maps.to(self.device), torch.arange(start, start + len(maps))
            fake = translated(model, labels.encode(maps), target, options.seed, start)
            images = to_float(to_uint8(fake)), to_float(real.to(self.device))
            for table, each in zip(tables, images, strict=True):
                table.update(torch.stack([labels.numbers(maps), network(each).argmax(1)], 1), index)

    def _trained(self, data: TwoDomains, direction: str, options: EvalOptions) -> nn.Module:
        """Returns the segmenter, trained here or before."""
        source, target = (data.sides[side] for side in ends(direction))
        sizes = [side.one_size("train") for side in (source, target) if isinstance(side, HasSizes)]
        if None in sizes:
            raise NotApplicableError("it needs images of one size: give data.preprocess=resize_and_crop.")
        domain = data.domains[ends(direction)[0]]
        network = self._made(target.channels, domain.labels)
        key = [
            "segmenter",
            VERSION,
            _name(self.segmenter),
            str(network),
            self.n_train,
            self.steps,
            self.batch_size,
            self.seed,
        ]
        key += [source.fingerprint("train"), target.fingerprint("train"), domain.labels, list(domain.ids)]
        show = options.progress and rank_and_world_size()[0] == 0
        states = cached_apart(key, lambda: self._states(data, direction, show), options.cache_dir)
        network.load_state_dict(states)
        return network.to(self.device).eval()

    def _made(self, channels: int, labels: int) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            return self.segmenter(channels, labels)

    def _states(self, data: TwoDomains, direction: str, progress: bool) -> dict[str, Tensor]:
        """Trains the segmenter."""
        source, target = ends(direction)
        count = capped_count(data.sides[source], "train", self.n_train)
        maps, images = (
            torch.cat([part for _, part in evenly_spaced(data.sides[side], "train", count)])
            for side in (source, target)
        )
        domain = data.domains[source]
        network = train_segmenter(
            self.segmenter, images, domain.numbers(maps), domain.labels, self.steps, self.batch_size, self.seed,
            self.device, progress,
        )  # fmt: skip
        return {name: state.cpu().contiguous() for name, state in network.state_dict().items()}

    def compute(self) -> Values:
        """Returns the metrics over all ranks (collective)."""
        found: Values = {}
        for name, table in self.tables.items():
            confusion, (direction, *real) = table.compute().cpu(), name.split(".")
            values = {"miou": overlaps(confusion).nanmean().item(), "pixel_accuracy": pixel_accuracy(confusion)}
            found |= {".".join([f"{key}_{direction}", *real]): value for key, value in values.items()}
        own = {name.removesuffix(".real"): value for name, value in found.items() if name.endswith(".real")}
        self.described = {**self.described, "on_real": own}
        return found

    def reset(self) -> None:
        """Forgets the images."""
        super().reset()
        self.tables = {}


def _directions(model: Translates) -> list[str]:
    """Returns the directions from label maps to images."""
    domains = {direction: [model.domains[side] for side in ends(direction)] for direction in model.directions}
    return [direction for direction, (source, target) in domains.items() if source.labels and not target.labels]


def _name(segmenter: MakeSegmenter) -> str:
    """Returns the dotted path of a segmenter, with its arguments."""
    chosen = segmenter.func if isinstance(segmenter, partial) else segmenter
    options: Mapping[str, object] = segmenter.keywords if isinstance(segmenter, partial) else {}
    path = f"{getattr(chosen, '__module__', '')}.{getattr(chosen, '__qualname__', chosen)}"
    return path + "".join(f" {key}={value}" for key, value in options.items())
