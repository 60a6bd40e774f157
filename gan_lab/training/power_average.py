"""Averages with power functions as weights, of any width afterwards (Karras et al. 2024, EDM2, section 3, appendix C).

The average of relative width σ weighs the weights that the network had after a share τ of the images seen by τ^γ. Its
standard deviation is σ of the run's length, so the width keeps its meaning however long a run is.
"""

import copy
import math
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from gan_lab.common.errors import UserError

NARROWEST, WIDEST = 0.01, 0.28
"""Relative widths: below, an average is the live network; the mean of the whole run has 0.289."""


def exponent(width: float) -> float:
    """Returns γ of a relative width in [0.01, 0.28] (eq. 126, solved by bisection in γ)."""
    low, high = 0.0, 1e6
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if relative_width(middle) > width else (low, middle)
    return (low + high) / 2


def relative_width(gamma: float) -> float:
    """Returns the standard deviation of the density (γ + 1) τ^γ on [0, 1]."""
    return math.sqrt(gamma + 1) / ((gamma + 2) * math.sqrt(gamma + 3))


class PowerAverages(nn.Module):
    """Averaged copies of networks for several relative widths, without gradients, and combinations for other widths.

    Args:
        networks: the live networks, by name.
        widths: relative widths, in [0.01, 0.28]; EDM2 has 0.05 and 0.10.

    Raises:
        UserError: for widths out of range, or too few.
    """

    def __init__(self, networks: Mapping[str, nn.Module], widths: Sequence[float]) -> None:
        super().__init__()
        if len(set(widths)) < 2 or not all(NARROWEST <= width <= WIDEST for width in widths):
            raise UserError(
                f"model.engine.ema_widths={[*widths]} is not valid: give two or more numbers from 0.01 to 0.28, such "
                "as [0.05,0.1,0.15]."
            )
        self.widths, self.exponents = sorted(widths), [exponent(width) for width in widths]
        copies = (nn.ModuleDict({name: copy.deepcopy(each) for name, each in networks.items()}) for _ in widths)
        self.averages = nn.ModuleList(copies).requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "PowerAverages":
        return super().train(False)

    @torch.no_grad()
    def update(self, live: Mapping[str, nn.Module], images: int, images_seen: int) -> None:
        """Moves the averages by an iteration of ``images`` images, ``images_seen`` counted after it (eq. 127)."""
        for gamma, average in zip(self.exponents, self.averages, strict=True):
            past = (1 - images / images_seen) ** (gamma + 1)
            for name, network in average.items():  # type: ignore[operator]
                follow([*zip(_tensors(network), _tensors(live[name]), strict=True)], 1 - past)

    @torch.no_grad()
    def reconstruct(self, width: float, networks: Mapping[str, nn.Module]) -> None:
        """Sets networks to the average of a relative width: the combination that is nearest to it (appendix C.3).

        Raises:
            UserError: for a width that does not lie between those that are averaged.
        """
        if not self.widths[0] <= width <= self.widths[-1]:
            raise UserError(
                f"ema={width} is not valid: give true, false, or a width from {self.widths[0]} to {self.widths[-1]}, "
                "between those that this run averaged."
            )
        shares = self.shares(exponent(width))
        for name, network in networks.items():
            blend(network, [average[name] for average in self.averages], shares)  # type: ignore[index]

    def shares(self, gamma: float) -> list[float]:
        """Returns the factors of the averages with the least squared distance from τ^γ, which add up to 1."""
        products = torch.tensor([[_product(a, b) for b in self.exponents] for a in self.exponents], dtype=torch.float64)
        wanted = torch.tensor([_product(a, gamma) for a in self.exponents], dtype=torch.float64)
        shares = torch.linalg.lstsq(products, wanted[:, None], driver="gelsd").solution[:, 0]
        return [float(share) for share in shares / shares.sum()]


def follow(pairs: Sequence[tuple[torch.Tensor, torch.Tensor]], share: float) -> None:
    """Moves the first of each pair of tensors, of any one shape, by a share towards the second; copies integers."""
    floats = [(own, current) for own, current in pairs if own.is_floating_point()]
    if floats:  # a network may have no parameters
        torch._foreach_lerp_([own for own, _ in floats], [current for _, current in floats], share)
    for own, current in pairs:
        if not own.is_floating_point():
            own.copy_(current)


def _tensors(network: nn.Module) -> list[torch.Tensor]:
    return [each.data for each in (*network.parameters(), *network.buffers())]


def blend(target: nn.Module, sources: Sequence[nn.Module], shares: Sequence[float]) -> None:
    """Sets floating-point weights and buffers to shares of others; integers are copied from the last of these."""
    states = [source.state_dict() for source in sources]
    for name, value in target.state_dict().items():
        if not value.is_floating_point():
            value.copy_(states[-1][name])
            continue
        value.copy_(torch.stack([share * state[name] for state, share in zip(states, shares, strict=True)]).sum(0))
        if name.endswith("running_var"):
            value.clamp_(min=0)  # shares may be negative


def _product(a: float, b: float) -> float:
    """Returns the inner product of the densities of two exponents on [0, 1] (eq. 148 at equal times)."""
    return (a + 1) * (b + 1) / (a + b + 1)
