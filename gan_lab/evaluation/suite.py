"""All figures of one set of made pictures beside one of real ones: what each comparison needs is gathered once."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan_lab.common.distributed import rank_and_world_size
from gan_lab.common.errors import UserError
from gan_lab.common.progress import console, track
from gan_lab.evaluation.cache import find, keep
from gan_lab.evaluation.feature_table import FeatureTable
from gan_lab.evaluation.features.extractors import Extractor
from gan_lab.evaluation.image_sets import ImageSet
from gan_lab.evaluation.statistics import Comparison, NotApplicableError, Statistic, Values, curves_of, scalars_of

Device = torch.device | str
MetricFactory = Callable[..., Any]
"""The class of a comparison or of a probe, or a partial of it with what the user chose."""

_VERSION = 3
"""Of the path from picture to state: raise it where that path changes, and what was cached is computed anew."""


class ImageCount(Statistic):
    """How many pictures came."""

    def add(self, values: Tensor, index: Tensor) -> None: ...

    def compute(self) -> int:
        """Over all ranks (a collective)."""
        return int(self.count)


class StatisticSet:
    """What is gathered of one set, each thing once, however many comparisons ask for it.

    Args:
        device: where sums are kept.
    """

    def __init__(self, device: Device) -> None:
        self.device = "cpu" if torch.device(device).type == "mps" else device  # Apple's GPUs have no float64
        self.tally = ImageCount()
        self.parts: dict[str, tuple[Extractor | None, str, Statistic]] = {}

    def of(self, seen_by: Extractor | None, input: str, wanted: Statistic) -> Statistic:
        """The one that is gathered already where there is an equal one, else the given one."""
        key = repr([identity(seen_by), input, wanted.key])
        return self.parts.setdefault(key, (seen_by, input, wanted.to(self.device)))[2]

    def update(self, index: Tensor, images: Tensor) -> None:
        """Pictures (m, C, H, W) uint8 with the numbers index (m,)."""
        self.tally.update(index, index)
        seen: dict[str, dict[str, Tensor]] = {}
        for extractor, input, gathered in self.parts.values():
            if extractor is None:
                gathered.update(images, index)
                continue
            if extractor.name not in seen:
                features, logits = extractor(images)
                seen[extractor.name] = {"features": features, "logits": logits}
            gathered.update(seen[extractor.name][input], index)

    def go_through(self, pictures: ImageSet, device: Device, progress: bool) -> None:
        """Takes this rank's share of a set. Raises RuntimeError unless all ranks together saw each picture once."""
        for index, images in pictures.batches(progress):
            self.update(index, images.to(device))
        if self.tally.compute() != pictures.n:
            raise RuntimeError(f"{self.tally.compute()} pictures were counted where {pictures.n} were to be.")

    def missing(self, pictures: ImageSet, cache_dir: str | Path | None) -> "StatisticSet":
        """What is not known of a set by an earlier call, and not kept on disk either; a collective."""
        rest = StatisticSet(self.device)
        for name, part in self.parts.items():
            if part[2].update_called:
                continue
            states = find([_VERSION, *(pictures.key or []), name], cache_dir) if pictures.key else None
            if states is None:
                rest.parts[name] = part
            else:
                part[2].restore(states)
        return rest

    def complete(self, pictures: ImageSet, device: Device, cache_dir: str | Path | None, progress: bool) -> None:
        """Gathers what is missing, and keeps it for the next time; a collective."""
        rest = self.missing(pictures, cache_dir)
        if not rest.parts:
            return
        rest.go_through(pictures, device, progress)
        for name, (_, _, gathered) in rest.parts.items():
            states = gathered.merged_states()
            gathered.restore(states)
            if pictures.key:
                keep([_VERSION, *pictures.key, name], states, cache_dir)


def identity(extractor: Extractor | None) -> list[object]:
    """What tells its features from any other's."""
    return [extractor.name, extractor.describe()] if extractor else []


class Suite:
    """Comparisons of made pictures with real ones.

    A part is called with those of these that its parameters name, and left out where it needs one that is lacking:

    - ``dim``: d of features, K of logits, for a part that sees these;
    - ``shape``: (C, H, W);
    - ``real``, ``fake``: how many pictures there are on each side;
    - ``labels``: the classes of both sides' pictures, and ``classes``, K;
    - ``known``: where among the extractor's logits the data's classes are;
    - what the ``facts`` hold.

    Args:
        parts: by name.
        extractors: whose features and logits are compared; parts that see images need none.
        real: what is compared with.
        baselines: other sets that are compared with the real one too, by the parts that state so; by name.
        facts: what else the parts may ask for, such as the ``judge`` of modes.
        device: where extractors run.
        cache_dir: where what does not change is kept (default GAN_LAB_CACHE, else ~/.cache/gan_lab).
        progress: show bars.

    Raises:
        UserError: for extractors of one name, whose figures could not be told apart.
    """

    def __init__(
        self,
        parts: Mapping[str, MetricFactory],
        extractors: Sequence[Extractor],
        real: ImageSet,
        baselines: Mapping[str, ImageSet] | None = None,
        facts: Mapping[str, Any] | None = None,
        device: Device = "cpu",
        cache_dir: str | Path | None = None,
        progress: bool = True,
    ) -> None:
        names = [each.name for each in extractors]
        if len(set(names)) < len(names):
            raise UserError(f"Several extractors have one name: {', '.join(names)}. Give each a name of its own.")
        self.parts, self.extractors = parts, [each.to(device) for each in extractors]
        self.real, self.baselines, self.facts = real, dict(baselines or {}), dict(facts or {})
        self.device, self.cache_dir, self.progress = device, cache_dir, progress
        self.of_real, self.of_fake = StatisticSet(device), StatisticSet(device)
        self.known: dict[str, dict[tuple[Extractor | None, str], float | list[float]]] = {}
        self.described: dict[str, Mapping[str, object]] = {}
        self.told: set[str] = set()

    def measure(self, fake: ImageSet, infix: str = "") -> tuple[dict[str, float], dict[str, list[float]]]:
        """Figures and curves by name; every rank calls it and gets the same (a collective).

        Args:
            fake: the made pictures.
            infix: goes into each name, such as a direction.
        """
        of_fake = self.of_fake = StatisticSet(self.device)
        parts = list(self._comparisons(fake, of_fake))
        self.of_real.complete(self.real, self.device, self.cache_dir, self.progress)
        of_fake.go_through(fake, self.device, self.progress)
        found: Values = {}
        for name, extractor, part in track(
            parts, "figures", len(parts), self.progress and rank_and_world_size()[0] == 0
        ):
            values = self._compared(name, part)
            found |= {named(extractor, key, infix): value for key, value in values.items()}
        for name in self.baselines:
            found |= {named(who, key, infix, name): value for (who, key), value in self._of_baseline(name).items()}
        return scalars_of(found), curves_of(found)

    def tables(self, extractor: Extractor) -> tuple[Tensor, Tensor] | None:
        """Features of the real (m, d) and the last made pictures (n, d), where a part kept them one by one."""
        found = [
            gathered.compute()
            for gathering in (self.of_real, self.of_fake)
            for who, input, gathered in gathering.parts.values()
            if isinstance(gathered, FeatureTable) and who is extractor and input == "features"
        ]
        return (found[0], found[1]) if len(found) == 2 else None

    def _of_baseline(self, name: str) -> dict[tuple[Extractor | None, str], float | list[float]]:
        """Its values, worked out once."""
        if name not in self.known:
            gathering = StatisticSet(self.device)
            parts = list(self._comparisons(self.baselines[name], gathering, baseline=True))
            self.of_real.complete(self.real, self.device, self.cache_dir, self.progress)
            gathering.complete(self.baselines[name], self.device, self.cache_dir, self.progress)
            self.known[name] = {}
            for part_name, extractor, part in parts:
                values = self._compared(part_name, part)
                self.known[name] |= {(extractor, key): values[key] for key in part.baseline if key in values}
        return self.known[name]

    def _comparisons(
        self, fake: ImageSet, of_fake: StatisticSet, baseline: bool = False
    ) -> Iterator[tuple[str, Extractor | None, Comparison]]:
        """Those that suit these pictures, what they gather brought together; or only those with a baseline."""
        for name, part in self.parts.items():
            kind = metric_class(part)
            if baseline and not kind.baseline:
                continue
            for extractor in [None] if kind.input == "images" else self.extractors:
                try:
                    made = self._made(part, extractor, fake, kind.input)
                except NotApplicableError as reason:
                    self._tell(f"{name} is left out: {reason}")
                    continue
                if made is None:
                    continue
                self.described[name] = made.described
                made.real = self.of_real.of(extractor, made.input, made.real)
                made.fake = of_fake.of(extractor, made.input, made.fake)
                yield name, extractor, made

    def _compared(self, name: str, part: Comparison) -> Values:
        try:
            return part.compare(part.real.compute(), part.fake.compute())
        except NotApplicableError as reason:
            self._tell(f"{name} is left out: {reason}")
            return {}

    def _made(self, part: MetricFactory, extractor: Extractor | None, fake: ImageSet, input: str) -> Comparison | None:
        offered: dict[str, Any] = {**self.facts, "real": self.real.n, "fake": fake.n}
        if self.real.shape == fake.shape:
            offered["shape"] = fake.shape
        if extractor:
            if input == "features" or extractor.classes:
                offered["dim"] = extractor.dim if input == "features" else extractor.classes
            if self.real.name in extractor.knows:
                offered["known"] = extractor.knows[self.real.name]
        if self.real.labels is not None and fake.labels is not None:
            offered["labels"] = self.real.labels, fake.labels
            offered["classes"] = int(torch.cat(offered["labels"]).max()) + 1
        made: Comparison | None = build_metric(part, offered)
        return made.to(self.of_real.device) if made is not None else None

    def _tell(self, sentence: str) -> None:
        if sentence not in self.told and rank_and_world_size()[0] == 0:
            console.print(sentence, soft_wrap=True, highlight=False)
        self.told.add(sentence)


def metric_class(part: MetricFactory) -> Any:
    """The class that it makes an object of."""
    return part.func if isinstance(part, partial) else part


def build_metric(part: MetricFactory, offered: Mapping[str, Any]) -> Any:
    """What a part makes of those that its parameters name; None where it needs one that is not offered."""
    asked = inspect.signature(part).parameters
    if any(each.default is each.empty and name not in offered for name, each in asked.items()):
        return None
    return part(**{name: value for name, value in offered.items() if name in asked and name not in chosen(part)})


def chosen(part: MetricFactory) -> Mapping[str, Any]:
    """What the user chose of it."""
    return part.keywords if isinstance(part, partial) else {}


def options(part: MetricFactory) -> dict[str, Any]:
    """What its plain parameters are, chosen or not: for protocols."""
    defaults = {name: each.default for name, each in inspect.signature(part).parameters.items()}
    plain = int | float | str | bool
    return {name: value for name, value in defaults.items() if isinstance(value, plain)}


def named(extractor: Extractor | None, key: str, *infixes: str) -> str:
    """The name of a figure: ``fd_grey``, ``fid_gaussian``, ``cs_grey_std``, ``kd_colour_a2b_untranslated_error``."""
    kind, _, of = key.partition(".")
    name = extractor.figure(kind) if extractor and kind else kind
    return "_".join(each for each in (name, *infixes, of.replace(".", "_")) if each)
