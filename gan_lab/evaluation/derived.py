"""Tensors that metrics derive from one set alone: computed once for as long as the set's values exist, however many
metrics and other sets need them.
"""

from collections.abc import Callable

from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

_known = WeakTensorKeyDictionary()


def derived(values: Tensor, name: str, compute: Callable[[], Tensor]) -> Tensor:
    """Returns what was derived from the values (n, …) under a name, a tensor of any shape, or computes it.

    Values that were changed in place since are other values.
    """
    found = known(values, name)
    if found is None:
        found = compute()
        remember(values, name, found)
    return found


def known(values: Tensor, name: str) -> Tensor | None:
    """Returns what was derived from the values (n, …) under a name; None if nothing was."""
    version, found = _known.get(values, (None, {}))
    return found.get(name) if version == values._version else None


def remember(values: Tensor, name: str, found: Tensor) -> None:
    """Keeps what was ``found``, a tensor of any shape (…), from the values (n, …) under a name."""
    version, others = _known.get(values, (None, {}))
    _known[values] = values._version, (others if version == values._version else {}) | {name: found}
