"""Pivotal tuning: moves a generator's weights a little, so that it draws an image from its code exactly.

Roich et al. 2021, "Pivotal Tuning for Latent-based Editing of Real Images".
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from gan_lab.common.atomic import atomic_write
from gan_lab.common.bounds import NonNegative, PositiveFloat, PositiveInt
from gan_lab.common.errors import UserError
from gan_lab.common.gradients import gradients, learning
from gan_lab.common.seeds import seed_of
from gan_lab.inference.inversion import PIXELS, Inversion, Likeness
from gan_lab.inference.spaces import Space

Delta = Mapping[str, Tensor]
"""Changes of a model's parameters, by name."""

LEAST = 0.01
"""Root mean square that a parameter is taken to have at least."""
LOCAL = 30.0
"""Distance from the pivot, on the way to a sample, at which the generator must draw what it drew (section 3.2, α)."""


def tune(
    space: Space,
    images: Tensor,
    pivots: Inversion,
    steps: PositiveInt = 350,
    rate: PositiveFloat = 5e-3,
    likeness: Likeness = PIXELS,
    locality: NonNegative = 0.1,
    seed: int = 0,
) -> Delta:
    """Returns the change of weights with which the model draws the images from their pivots.

    The model is left as it was; ``tuned`` applies the change.

    Args:
        space: of the pivots.
        images: (N, C, H, W) in [-1, 1].
        pivots: what ``invert`` returned for them.
        steps: of Adam.
        rate: its learning rate, in shares of each parameter's root mean square: the paper's 3 · 10⁻⁴ is for parameters
            of about 1 in a wide network.
        likeness: of the tuned model's images to these.
        locality: weight of the change of images near the pivots (section 3.2); 0 leaves it out.
        seed: of the samples that locality is measured at.
    """
    changing = drawing_parameters(space, pivots.codes[:1])
    before = {name: parameter.detach().clone() for name, parameter in changing.items()}
    rates = {name: rate * max(float(value.square().mean().sqrt()), LEAST) for name, value in before.items()}
    optimizer = torch.optim.Adam([{"params": [each], "lr": rates[name]} for name, each in changing.items()])
    noise = pivots.noise or None

    try:
        with gradients(), learning(space.network, True):
            for step in range(steps):
                optimizer.zero_grad()
                total = likeness(space.images(pivots.codes, noise), images).mean()
                if locality:
                    with torch.no_grad():
                        near = _near(space, pivots.codes, seed_of(seed, "near", step) % 2**31)
                    with _replaced(changing, before):  # with gradients, as what it is compared with: not clamped
                        wanted = space.images(near).detach()
                    total = total + locality * likeness(space.images(near), wanted).mean()
                total.backward()
                optimizer.step()
        return {name: parameter.detach() - before[name] for name, parameter in changing.items()}
    finally:
        for name, parameter in changing.items():
            parameter.grad = None
            parameter.data = before[name]


def drawing_parameters(space: Space, codes: Tensor | None = None) -> dict[str, nn.Parameter]:
    """Returns the parameters, by name, that images from codes (n, …) depend on; those that samples do without codes."""
    named = dict(space.network.named_parameters())
    with gradients(), learning(space.network, True):
        images = space.images(space.of_samples(1) if codes is None else codes)
        found = torch.autograd.grad(images.sum(), list(named.values()), allow_unused=True)
    return {name: named[name] for name, slope in zip(named, found, strict=True) if slope is not None}


@contextmanager
def tuned(network: nn.Module, delta: Delta, strength: float = 1.0) -> Iterator[None]:
    """Adds a change of weights, times a strength, to a model's parameters.

    Raises:
        UserError: for a change of another model.
    """
    named = dict(network.named_parameters())
    if any(name not in named or named[name].shape != change.shape for name, change in delta.items()):
        raise UserError("These changed weights are those of another model: give the checkpoint that was tuned.")
    own = {name: named[name] for name in delta}
    with _replaced(
        own, {name: own[name].data + strength * change.to(own[name].data) for name, change in delta.items()}
    ):
        yield


@contextmanager
def _replaced(parameters: Mapping[str, nn.Parameter], values: Mapping[str, Tensor]) -> Iterator[None]:
    before = {name: parameter.data for name, parameter in parameters.items()}
    try:
        for name, parameter in parameters.items():
            parameter.data = values[name]
        yield
    finally:
        for name, parameter in parameters.items():
            parameter.data = before[name]


def _near(space: Space, pivots: Tensor, seed: int) -> Tensor:
    """Returns codes (N, …) on the ways from pivots to samples, at a distance of ``LOCAL``, or at the sample itself."""
    ways = space.of_samples(len(pivots), seed) - pivots
    lengths = space.flat(ways).norm(dim=2).mean(1).view(-1, *[1] * (ways.ndim - 1))
    return pivots + ways * (LOCAL / lengths.clamp(min=1e-8)).clamp(max=1)


def fingerprint(space: Space) -> str:
    """Returns a hash of the parameters that samples are drawn with, the same for an encoder's generator and alone."""
    digest = sha256()
    for parameter in drawing_parameters(space).values():
        digest.update(repr(tuple(parameter.shape)).encode())
        digest.update(parameter.detach().cpu().contiguous().float().numpy().tobytes())
    return digest.hexdigest()


def save_delta(path: Path, delta: Delta, of: str) -> None:
    """Writes a change of weights as safetensors, whole or not at all.

    Args:
        path: the file.
        delta: the change.
        of: fingerprint of the model.
    """
    with atomic_write(path) as temporary:
        save_file({name: change.contiguous() for name, change in delta.items()}, temporary, {"fingerprint": of})


def load_delta(path: Path, of: str) -> Delta:
    """Returns a change of weights that ``save_delta`` wrote.

    Raises:
        UserError: if the file cannot be read, or belongs to another model.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata, delta = file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} cannot be read as changed weights ({error}): give a file that edit wrote.") from error
    if metadata.get("fingerprint") != of:
        raise UserError(f"{path} has changed weights of another model: give the checkpoint that was tuned.")
    return delta
