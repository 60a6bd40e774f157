"""Base classes of set metrics: a ``Statistic`` accumulates over one image set, a ``Comparison`` compares two."""

import functools
import hashlib
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, Generic, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torchmetrics import Metric

from gan_lab.common.deprecation import accept_old_methods
from gan_lab.common.errors import UserError

Values = dict[str, float | list[float]]
"""Metrics by key. A key is a kind and, after a dot, a detail of it, such as "fd" or "cs.std"; ``factories.metric_name``
turns keys into names. Lists are curves, for a report to plot."""

Result = TypeVar("Result", covariant=True)
Real = TypeVar("Real")
Fake = TypeVar("Fake")


def scalars_of(values: Values) -> dict[str, float]:
    """Selects the numbers among the values."""
    return {name: value for name, value in values.items() if not isinstance(value, list)}


def curves_of(values: Values) -> dict[str, list[float]]:
    """Selects the curves among the values."""
    return {name: value for name, value in values.items() if isinstance(value, list)}


class NotApplicableError(UserError):
    """A comparison cannot be computed for these images: the suite leaves it out and prints the sentence."""


class Statistic(Metric, Generic[Result]):
    """Accumulates a statistic of one set of numbered images, which arrive in any order and on any rank.

    All states are sums, so merging ranks means adding states. The result of ``compute`` is not copied: it is valid
    until the next ``update``.

    Args:
        key: plain values that distinguish it from others of its class. Only one of two statistics with equal keys is
            accumulated.
        sync_on_compute: whether ``compute`` sums the states over ranks first.

    Attributes:
        cached: whether the states of a set that does not change are worth their space on disk.
    """

    full_state_update = False
    cached = True
    count: Tensor

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        accept_old_methods(cls, Statistic)

    def __init__(self, *key: object, sync_on_compute: bool = True) -> None:
        super().__init__(dist_sync_fn=_all_reduce, sync_on_compute=sync_on_compute)
        self.key = [type(self).__name__, *key]
        self.add_sum_state("count", dtype=torch.int64)

    def add_sum_state(self, name: str, *shape: int, dtype: torch.dtype = torch.float64) -> None:
        """Adds a state of zeros that is summed over ranks. It allocates memory with the first update."""
        self.add_state(name, torch.zeros((), dtype=dtype), dist_reduce_fx=_sum_in_own_dtype)
        self._defaults[name] = torch.zeros((), dtype=dtype).expand(shape)  # add_state would make it contiguous
        self._reset_state(name)

    def update(self, values: Tensor, index: Tensor | None = None) -> None:
        """Adds the values (m, …) of the images with the numbers ``index`` (m,), each of which is given once.

        Without an index, images are numbered in the order of arrival, which works on a single process only.
        """
        for name in self._defaults:
            setattr(self, name, getattr(self, name).contiguous())
        if index is None:
            index = torch.arange(len(values)) + int(self.count)
        self.count += len(values)
        self.accumulate(values.detach().to(self.count.device), index.to(self.count.device))

    @abstractmethod
    def accumulate(self, values: Tensor, index: Tensor) -> None:
        """Adds the values (m, …) of the images with the numbers ``index`` (m,) to the states."""

    @abstractmethod
    def compute(self) -> Result:
        """Returns the statistic of the images of all ranks (collective)."""

    def merged_states(self) -> dict[str, Tensor]:
        """Returns the states summed over ranks, on the CPU (collective)."""
        with self.sync_context(dist_sync_fn=_all_reduce):
            return {name: getattr(self, name).cpu().clone() for name in self._defaults}

    def load_states(self, states: Mapping[str, Tensor]) -> None:
        """Loads merged states, which must be equal on all ranks; ``compute`` no longer synchronises."""
        for name in self._defaults:
            setattr(self, name, states[name].to(self.count.device))
        self._computed, self._update_count, self._to_sync = None, 1, False

    def reset(self) -> None:
        """Forgets all images."""
        super().reset()
        self._to_sync = True
        for name in self._defaults:
            self._reset_state(name)

    def _reset_state(self, name: str) -> None:
        default = self._defaults[name]
        assert isinstance(default, Tensor)
        own = default.to(self.device)
        setattr(self, name, own.clone() if own.is_contiguous() else own)

    def _wrap_compute(self, compute: Callable[[], object]) -> Callable[[], object]:
        """Replaces the wrapper of torchmetrics, which copies results, even a feature table, and squeezes them."""

        @functools.wraps(compute)
        def wrapped() -> object:
            if self._computed is None:
                with self.sync_context(dist_sync_fn=_all_reduce, should_sync=self._to_sync):
                    self._computed = compute()  # type: ignore[assignment]
            return self._computed

        return wrapped


def _all_reduce(tensor: Tensor, group: dist.ProcessGroup | None = None) -> list[Tensor]:
    """Returns the sum over ranks, as a single item: torchmetrics would gather a copy from each rank and add them."""
    total = tensor.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total, group=group)
    return [total]


def _sum_in_own_dtype(stacked: Tensor) -> Tensor:
    """Sums over the first axis in the tensor's own dtype: torch.sum would turn uint8 into int64."""
    return stacked.sum(0, dtype=stacked.dtype)


class Comparison(Metric, Generic[Real, Fake]):
    """Metrics that compare a statistic of the real images with one of the generated images.

    Attributes:
        input: the values that its statistics take: "features" (m, d), "logits" (m, K) or uint8 "images" (m, C, H, W).
        described: plain values that the protocol states besides its options.
        baseline_keys: keys that are also computed for each baseline set: ``<key>.gaussian`` of the pixel Gaussian.
        relative_to: the baseline whose values those of ``baseline_keys`` are divided by; None for values of their own.
        of_real: names of what it derives from the real side's table alone, which a suite caches; see ``derived``.
    """

    full_state_update = False
    is_differentiable = False
    input: ClassVar[str] = "features"
    baseline_keys: ClassVar[Sequence[str]] = ()
    relative_to: ClassVar[str | None] = None
    of_real: Sequence[str] = ()
    described: Mapping[str, object] = MappingProxyType({})

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        accept_old_methods(cls, Comparison)

    def __init__(self, real: Statistic[Real], fake: Statistic[Fake]) -> None:
        super().__init__()
        self.real, self.fake = real, fake

    def update(self, values: Tensor, real: bool, index: Tensor | None = None) -> None:
        """Adds values (m, …) to the statistic of one side; see ``Statistic.update``."""
        (self.real if real else self.fake).update(values, index)

    def compute(self) -> Values:
        """Returns the metrics over all ranks (collective)."""
        return self.compare(self.real.compute(), self.fake.compute())

    @abstractmethod
    def compare(self, real: Real, fake: Fake) -> Values:
        """Returns the metrics of the results of both statistics."""

    def reset(self) -> None:
        """Forgets the images of both sides."""
        super().reset()
        self.real.reset()
        self.fake.reset()


def digest(numbers: Tensor) -> str:
    """Returns a SHA-256 of the integers (n,)."""
    return hashlib.sha256(numbers.to(torch.int64).cpu().numpy().tobytes()).hexdigest()
