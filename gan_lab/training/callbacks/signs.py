"""Signs of a run that has stopped learning, in a few of a model's outputs beside real images."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gan_lab.common.capabilities import Samples, Translates, TwoDomains
from gan_lab.common.images import to_float
from gan_lab.inference.translation import SPLIT, ends, translated
from gan_lab.training.callbacks import looks

SHOWN = 16
"""Outputs that are looked at."""
COLLAPSED = 0.05
"""Spread of collapsed outputs relative to that of real images."""
STANDS_OUT, VISIBLE = {2: 8.0, 4: 8.0, 8: 16.0}, 0.015
"""Prominence of a checkerboard relative to real images, by its period, and its amplitude in [-1, 1], from which on it
shows.

Prominences of photographs, faces, emoji, digits and clothes are 1 to 6 for each period. Enlarged by nearest neighbour
they are up to 26, with an amplitude of 0.012 at most; enlarged 2.5 times, bicubic, up to 10 for 8 px. Patterns of 16
grey levels are 9 to 99 times as prominent as in real images for 4 px, and those of 45 levels 29 to 46 times for 8 px.
On digits and clothes of 28 px patterns of 4 px do not stand out from the strokes.
"""
INVERTED, GREY, UNRELATED = -0.5, 0.1, 0.05
"""Likeness to the input, and colourfulness or contrast relative to real images, below which they are no translation;
and what outputs have in common with their inputs alone."""
COLOURED = 0.02
"""Colourfulness of grey images that are stored as coloured ones, with the noise of their compression."""
KEEPS = {"cycle": "model.cycle", "nce": "model.nce", "l1": "model.l1"}
"""Keys of the losses by which methods tie an output to its input, by the attribute that has their weight."""


@dataclass(frozen=True)
class Sign:
    """A value to log, and the sentence for the user if it is bad.

    Args:
        name: of the value, after ``health/``.
        value: not a number if the images do not have it.
        kind: of the trouble, which is reported once.
        bad: it is there now.
        text: the sentence.
    """

    name: str
    value: float
    kind: str
    bad: bool
    text: str


@dataclass(frozen=True)
class Shown:
    """Outputs of a model beside real images of the same kind.

    Args:
        kind: what they are, for the user: "samples" or "translations to b".
        outputs, real: (N, C, H, W) with 2 ≤ N ≤ 16.
        inputs: what the outputs are translations of, (N, C', H, W); None for samples.
        photos: inputs and outputs are images, no label maps.
        paired: real image i is what output i should be.
    """

    kind: str
    outputs: Tensor
    real: Tensor
    inputs: Tensor | None = None
    photos: bool = True
    paired: bool = False

    @property
    def slug(self) -> str:
        """The kind as a part of a name."""
        return self.kind.replace(" ", "_")


def shown_outputs(module: object, data: object, batch: Mapping[str, Tensor]) -> Iterator[Shown]:
    """Yields samples beside images of the batch, and translations of test images beside the target domain's."""
    device = getattr(module, "device", "cpu")
    if isinstance(module, Samples) and len(real := batch.get("image", torch.empty(0))) > 1:
        real = to_float(real[:SHOWN]) if real.dtype == torch.uint8 else real[:SHOWN]
        yield Shown("samples", module.sample(SHOWN), real)
    if not isinstance(module, Translates) or not isinstance(data, TwoDomains):
        return
    first = {side: next(iter(data.sides[side].images(SPLIT, SHOWN))) for side in ("a", "b")}
    for a, b in map(ends, module.directions):
        source, target = module.domains[a], module.domains[b]
        image, real = source.encode(first[a].to(device)), target.encode(first[b].to(device))
        if min(len(image), len(real)) > 1:
            paired = data.paired and len(image) == len(real) and image.shape[2:] == real.shape[2:]
            seen = (target.visualize(translated(module, image, b)), target.visualize(real), source.visualize(image))
            yield Shown(f"translations to {b}", *seen, photos=not (source.labels or target.labels), paired=paired)


def signs(shown: Shown, module: object) -> Iterator[Sign]:
    """Yields the signs that these outputs can show; a collapse explains the others, which are then left out."""
    collapse = _collapse(shown)
    yield collapse
    if collapse.bad:
        return
    if shown.photos and shown.outputs.ndim == 4 and min(shown.outputs.shape[2:]) >= 8:
        yield _checkerboard(shown, module)
    if shown.inputs is None:
        return
    if shown.photos:
        yield _inverted(shown, shown.inputs, module)
        yield _grey(shown)
    if len(shown.inputs) > 3:
        yield _unrelated(shown, shown.inputs, module)


def _collapse(shown: Shown) -> Sign:
    usual = looks.mean_distance(shown.real)
    spread = looks.mean_distance(shown.outputs) / usual if usual else math.nan
    text = (
        f"The {shown.kind} have collapsed to one image: their mean distance is {spread:.1%} of that between real "
        "images; try a checkpoint from before, lower learning rates, or another loss such as loss=r1."
    )
    return Sign(f"spread_{shown.slug}", spread, f"collapse of {shown.kind}", spread < COLLAPSED, text)


def _checkerboard(shown: Shown, module: object) -> Sign:
    periods = sorted(set(looks.periods_of(shown.outputs)) & set(looks.periods_of(shown.real)))
    found = {period: [looks.checkerboard(each, period) for each in (shown.outputs, shown.real)] for period in periods}
    all_times = {period: made.prominence / max(real.prominence, 1.0) for period, (made, real) in found.items()}
    visible = [period for period in periods if found[period][0].amplitude >= VISIBLE]
    period = max(visible or periods, key=lambda each: all_times[each] / STANDS_OUT[each])
    times = all_times[period]
    text = (
        f"The {shown.kind} show a checkerboard: a pattern that repeats every {period} pixels stands out {times:.0f} "
        f"times as much as in real images; try {_smooth(module)} in a new run."
    )
    bad = times >= STANDS_OUT[period] and period in visible
    return Sign(f"checkerboard_{shown.slug}", times, f"checkerboard in {shown.kind}", bad, text)


def _smooth(module: object) -> str:
    """Returns the key of the upsampling that leaves no checkerboard; without transposed convolutions another remedy."""
    layers = module.modules() if isinstance(module, nn.Module) else ()
    if not any(isinstance(layer, nn.ConvTranspose2d) and layer.stride != (1, 1) for layer in layers):
        return "lower learning rates"
    if isinstance(module, Translates):
        return "generator.upsample=resize"
    return f"model.{'decoder' if hasattr(module, 'decoder') else 'generator'}.upsample=resize"


def _inverted(shown: Shown, inputs: Tensor, module: object) -> Sign:
    value = looks.likeness(inputs, shown.outputs)
    meant = looks.likeness(inputs, shown.real) < 0 if shown.paired else looks.is_negative(inputs, shown.real)
    more = " or a larger model.identity" if getattr(module, "cycle", None) and hasattr(module, "identity") else ""
    text = (
        f"The {shown.kind} are negatives of their inputs (correlation {value:.2f}), which the real images are not: it "
        f"is decided early in a run, so start another with a new seed=…{more}."
    )
    return Sign(f"likeness_{shown.slug}", value, f"inversion in {shown.kind}", value < INVERTED and not meant, text)


def _grey(shown: Shown) -> Sign:
    usual = looks.contrast(shown.real)
    value, what = looks.contrast(shown.outputs) / usual if usual else math.nan, "contrast"
    if (real := looks.colourfulness(shown.real)) > COLOURED and looks.colourfulness(shown.outputs) / real < value:
        value, what = looks.colourfulness(shown.outputs) / real, "colour"
    text = (
        f"The {shown.kind} have turned grey: they have {value:.1%} of the {what} of real images; try a larger "
        "model.adversarial, or lower learning rates from a checkpoint before it."
    )
    return Sign(f"colour_{shown.slug}", value, f"grey in {shown.kind}", value < GREY, text)


def _unrelated(shown: Shown, inputs: Tensor, module: object) -> Sign:
    value = looks.structure(inputs, shown.outputs)
    keeps = " or ".join(key for name, key in KEEPS.items() if getattr(module, name, 0))
    text = (
        f"The {shown.kind} ignore their inputs: they have no more in common with their own than with others "
        f"(correlations differ by {value:.2f}); try a larger {keeps}."
        if keeps
        else f"The {shown.kind} ignore their inputs (correlations differ by {value:.2f}); try a smaller "
        "model.adversarial."
    )
    usual = looks.structure(inputs, shown.real) if shown.paired else 1.0
    bad = value < UNRELATED <= usual
    return Sign(f"structure_{shown.slug}", value, f"ignored inputs in {shown.kind}", bad, text)
