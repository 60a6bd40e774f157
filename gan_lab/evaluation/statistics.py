"""The form of every figure: what is gathered of one set of pictures, and two such sets compared."""

import functools
import hashlib
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import torch
import torch.distributed as dist
from torch import Tensor
from torchmetrics import Metric

from gan_lab.common.deprecation import accept_old_methods
from gan_lab.common.errors import UserError

Values = dict[str, float | list[float]]
"""Figures by key: a kind and, after a dot, what of it, such as "fd" or "cs.std"; extractors make names of them. Lists
are curves, for a report to draw."""


def scalars_of(values: Values) -> dict[str, float]:
    return {name: value for name, value in values.items() if not isinstance(value, list)}


def curves_of(values: Values) -> dict[str, list[float]]:
    return {name: value for name, value in values.items() if isinstance(value, list)}


class NotApplicableError(UserError):
    """A comparison that cannot be made of such pictures: it is passed over, and its sentence told."""


class Statistic(Metric):
    """What is known of one set of numbered pictures, which arrive in any order and on any rank. States are sums.

    What ``compute`` gives is no copy: it is valid until the next ``update``.

    Args:
        about: what tells it from others of its class, in plain values. Of two that are equal only one is gathered.
        metric: what ``torchmetrics.Metric`` takes.
    """

    full_state_update = False
    count: Tensor

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        accept_old_methods(cls, Statistic)

    def __init__(self, *key: object, **metric: Any) -> None:
        super().__init__(dist_sync_fn=_all_reduced, **metric)
        self.key = [type(self).__name__, *key]
        self.add_sum_state("count", dtype=torch.int64)

    def add_sum_state(self, name: str, *shape: int, dtype: torch.dtype = torch.float64) -> None:
        """A state of zeros that is summed over ranks. It takes memory from the first update on."""
        self.add_state(name, torch.zeros((), dtype=dtype), dist_reduce_fx=_added)
        self._defaults[name] = torch.zeros((), dtype=dtype).expand(shape)  # add_state would spread it out
        self._empty(name)

    def update(self, values: Tensor, index: Tensor | None = None) -> None:
        """Values (m, …) of the pictures whose numbers are index (m,), each given once. Without an index they are
        numbered as they come, which serves one process alone.
        """
        for name in self._defaults:
            setattr(self, name, getattr(self, name).contiguous())
        if index is None:
            index = torch.arange(len(values)) + int(self.count)
        self.count += len(values)
        self.add(values.detach().to(self.count.device), index.to(self.count.device))

    @abstractmethod
    def add(self, values: Tensor, index: Tensor) -> None:
        """What ``update`` does with them."""

    def merged_states(self) -> dict[str, Tensor]:
        """The states of all ranks as one, on the CPU; a collective."""
        with self.sync_context(dist_sync_fn=_all_reduced):
            return {name: getattr(self, name).cpu().clone() for name in self._defaults}

    def restore(self, states: dict[str, Tensor]) -> None:
        """Takes merged states, the same on every rank."""
        for name in self._defaults:
            setattr(self, name, states[name].to(self.count.device))
        self._computed, self._update_count, self._to_sync = None, 1, False

    def reset(self) -> None:
        super().reset()
        self._to_sync = True
        for name in self._defaults:
            self._empty(name)

    def _empty(self, name: str) -> None:
        default = self._defaults[name]
        assert isinstance(default, Tensor)
        own = default.to(self.device)
        setattr(self, name, own.clone() if own.is_contiguous() else own)

    def _wrap_compute(self, compute: Callable[[], Any]) -> Callable[[], Any]:
        """Torchmetrics would copy what is computed, even a table of features, and squeeze what has one element."""

        @functools.wraps(compute)
        def wrapped() -> Any:
            if self._computed is None:
                with self.sync_context(dist_sync_fn=_all_reduced, should_sync=self._to_sync):
                    self._computed = compute()
            return self._computed

        return wrapped


def _all_reduced(tensor: Tensor, group: Any = None) -> list[Tensor]:
    """The sum over ranks, once: torchmetrics would hold a copy of each rank's and add them up."""
    total = tensor.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total, group=group)
    return [total]


def _added(stacked: Tensor) -> Tensor:
    """In their own type: torch.sum would make int64 of uint8."""
    return stacked.sum(0, dtype=stacked.dtype)


class Comparison(Metric):
    """Figures of two sets, the real and the made, by what is gathered of each.

    Attributes:
        sees: what it takes of pictures: "features" (m, d), "logits" (m, K) or the uint8 "images" (m, C, H, W)
            themselves.
        described: what the protocol says of it besides its options, in plain values.
        baseline: the keys of which the pixel Gaussian's samples have one too, ``<key>.gaussian``.
    """

    full_state_update = False
    is_differentiable = False
    input: ClassVar[str] = "features"
    baseline: ClassVar[Sequence[str]] = ()
    described: Mapping[str, object] = MappingProxyType({})

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        accept_old_methods(cls, Comparison)

    def __init__(self, real: Statistic, fake: Statistic) -> None:
        super().__init__()
        self.real, self.fake = real, fake

    def update(self, values: Tensor, real: bool, index: Tensor | None = None) -> None:
        """Values of one side's pictures; see ``Statistic.update``."""
        (self.real if real else self.fake).update(values, index)

    def compute(self) -> Values:
        """Over all ranks (a collective)."""
        return self.compare(self.real.compute(), self.fake.compute())

    @abstractmethod
    def compare(self, real: Any, fake: Any) -> Values:
        """The figures of what both sides' ``compute`` gives."""

    def reset(self) -> None:
        super().reset()
        self.real.reset()
        self.fake.reset()


def digest(numbers: Tensor) -> str:
    """Tells whole numbers (n,) from any others."""
    return hashlib.sha256(numbers.to(torch.int64).cpu().numpy().tobytes()).hexdigest()
