"""The graphs that a model has to export, by its capabilities: pure functions of tensors, with their inputs.

Shapes are written as in ``gan_lab.common.types``; every graph takes any batch, and many take images of any size.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from gan_lab.common.capabilities import (
    Decodes,
    DecodesClips,
    Encodes,
    EncodesStyles,
    HasLogits,
    Predicts,
    Repairs,
    Styles,
    Stylizes,
    Translates,
    TranslatesAmong,
    TranslatesInStyles,
)
from gan_lab.common.domains import Domain
from gan_lab.common.errors import UserError
from gan_lab.inference.export.pictures import Pictures, Size

BATCH, HEIGHT, WIDTH = "batch", "height", "width"
PSI = 0.7
"""ψ that graphs with truncation are tried with."""


@dataclass(frozen=True)
class Port:
    """An input of a graph.

    Args:
        name: in the exported file.
        make: function from a batch size and a size of images to a tensor to try the graph on.
        axes: names of the axes that may have any length, by their number.
        domain: of images, (N, C, H, W), which may be uint8 pixels in the exported file; None for other tensors.
    """

    name: str
    make: Callable[[int, Size], Tensor]
    axes: Mapping[int, str] = field(default_factory=lambda: {0: BATCH})
    domain: Domain | None = None


@dataclass(frozen=True)
class Graph:
    """A pure function of tensors that a model has.

    Args:
        name: of the exported file.
        function: (model, *inputs) → output.
        ports: the inputs.
        output: name of the output.
        size: of the images that it is tried on, and the only one that it takes unless ``sized``.
        sized: whether it takes other sizes.
        multiple: sides of images must be multiples of it.
        domain: of the output, if it is images.
        note: what users should know.
    """

    name: str
    function: Callable[..., Tensor]
    ports: tuple[Port, ...]
    output: str
    size: Size
    sized: bool = False
    multiple: int = 1
    domain: Domain | None = None
    note: str = ""

    def inputs(self, n: int, size: Size | None = None) -> tuple[Tensor, ...]:
        """Returns inputs for a batch of n."""
        return tuple(port.make(n, size or self.size) for port in self.ports)

    def sizes(self, count: int = 2) -> list[Size]:
        """Returns sizes of images to try: the graph's own and, if it takes others, larger ones that are not square."""
        step = -(-8 // self.multiple) * self.multiple
        height, width = self.size
        return [(height + step * i, width + 2 * step * i) for i in range(count if self.sized else 1)]


class Forward(nn.Module):
    """A graph's function as a module.

    Args:
        model: it has the weights.
        graph: see ``Graph``.
        pixels: images are uint8 in and out, encoded and decoded as their domains say.
    """

    def __init__(self, model: nn.Module, graph: Graph, pixels: bool = False) -> None:
        super().__init__()
        self.model, self.graph, self.pixels = model, graph, pixels

    def forward(self, *inputs: Tensor) -> Tensor:
        with torch.no_grad():
            if not self.pixels:
                return self.graph.function(self.model, *inputs)
            pairs = zip(self.graph.ports, inputs, strict=True)
            encoded = [port.domain.encode(value) if port.domain else value for port, value in pairs]
            output = self.graph.function(self.model, *encoded)
            return self.graph.domain.decode(output) if self.graph.domain else output

    def inputs(self, n: int, size: Size | None = None) -> tuple[Tensor, ...]:
        """Returns inputs for a batch of n, in pixels if the graph takes them."""
        made = self.graph.inputs(n, size)
        if not self.pixels:
            return made
        pairs = zip(self.graph.ports, made, strict=True)
        return tuple(port.domain.decode(value) if port.domain else value for port, value in pairs)


def graphs_of(model: Any, size: Size, pictures: Pictures, frames: int = 4, steps: int = 4) -> list[Graph]:
    """Returns the graphs of a model.

    Args:
        model: in evaluation mode.
        size: of the images that it was trained on.
        pictures: to try graphs on.
        frames: of the clips that it is tried on, if it does not state a number.
        steps: frames that a forecaster's graph makes.

    Raises:
        UserError: if it has none.
    """
    made = Graphs(model, size, pictures)
    found = [graph for kind, make in MAKERS.items() if isinstance(model, kind) for graph in make(made)]
    if isinstance(model, Predicts):
        found.append(made.forecast(steps))
    if isinstance(model, DecodesClips):
        found.append(made.clips(frames))
    if not found:
        raise UserError(f"{type(model).__name__} has no network that could be exported alone: give another checkpoint.")
    return found


@dataclass(frozen=True)
class Graphs:
    """Makes the graphs of one model; see ``graphs_of``."""

    model: Any
    size: Size
    pictures: Pictures

    # Inputs.

    @property
    def label(self) -> tuple[Port, ...]:
        """The class of each sample, int64 (N,), of a conditional model."""
        classes = int(getattr(self.model, "num_labels", 0) or getattr(self.model, "classes", 0))
        return (Port("label", lambda n, _: torch.arange(n) % classes),) if classes else ()

    @property
    def latents(self) -> Port:
        return Port("latents", lambda n, _: self.model.latents(n, self.pictures.seed))

    @property
    def truncation(self) -> Port:
        """ψ as a scalar."""
        return Port("truncation", lambda *_: torch.tensor(PSI), {})

    def image(self, domain: Domain, name: str = "image", sized: bool = True) -> Port:
        axes = {0: BATCH, 2: HEIGHT, 3: WIDTH} if sized else {0: BATCH}
        return Port(name, lambda n, size: self.pictures(n, domain, size), axes, domain)

    @property
    def domain(self) -> Domain:
        return Domain(self.pictures.channels)

    # Graphs.

    def decoders(self) -> Iterator[Graph]:
        """Latents, and labels, to images."""
        if isinstance(self.model, Styles):
            return
        name = "decoder" if isinstance(self.model, Encodes) else "generator"
        yield Graph(
            name, lambda model, latents, *label: model.decode(latents, *label), (self.latents, *self.label), "image",
            self.size, domain=self.domain,
        )  # fmt: skip

    def styled(self) -> Iterator[Graph]:
        """Latents, labels and ψ to styles, styles to images with the constant noise, and both in one."""
        inputs = self.latents, *self.label, self.truncation
        styles = Port("styles", lambda n, _: self.model.map_styles(self.model.latents(n, self.pictures.seed)))
        yield Graph("mapping", _map_styles, inputs, "styles", self.size)
        yield Graph("synthesis", lambda model, each: model.synthesize(each), (styles,), "image", self.size,
                    domain=self.domain)  # fmt: skip
        yield Graph("generator", lambda model, *given: model.synthesize(_map_styles(model, *given)), inputs, "image",
                    self.size, domain=self.domain)  # fmt: skip

    def encoders(self) -> Iterator[Graph]:
        ports = self.image(self.domain, sized=False), *self.label
        yield Graph("encoder", lambda model, *given: model.encode(*given), ports, "latents", self.size)

    def style_encoders(self) -> Iterator[Graph]:
        ports = self.image(self.domain, sized=False), *self.label
        yield Graph("encoder", lambda model, *given: model.encode_styles(*given), ports, "styles", self.size)

    def logits(self) -> Iterator[Graph]:
        """Images to the logits of their values: sampling draws pixel after pixel, with this network at each."""
        ports = self.image(self.domain, sized=False), *self.label
        yield Graph(
            "logits", lambda model, *given: model.logits_of(*given), ports, "logits", self.size,
            note="Sampling is a loop over pixels and channels that runs this network at each, and is not in the file.",
        )  # fmt: skip

    def translators(self) -> Iterator[Graph]:
        """Images of one domain to images of the other, and to styles if the model translates in styles."""
        model = self.model
        for direction in model.directions:
            source, target = (model.domains[side] for side in (direction[0], direction[-1]))
            image = self.image(source)
            ports: tuple[Port, ...] = (image,)
            function = _translate(direction[-1])
            if isinstance(model, TranslatesInStyles):
                ports, function = (image, self._styles(direction[-1])), _restyle(direction[-1])
                styles = (self.image(target),)
                yield self._sized(f"styles_{direction[-1]}", _styles_of(direction[-1]), styles, "styles", None)
            yield self._sized(direction, function, ports, "image", target)

    def _styles(self, to: str) -> Port:
        return Port("styles", lambda n, _: self.model.random_styles(n, to, self.pictures.seed))

    def among(self) -> Iterator[Graph]:
        """Images to images of a class, in styles, and images of a class to styles, if the model has any."""
        (label,), image = self.label, self.image(self.domain)
        if not self.model.random_styles(1, 0).shape[1]:
            yield self._sized("translate", _among, (image, label), "image", self.domain)
            return
        styles = Port("styles", lambda n, size: self.model.random_styles(n, label.make(n, size), self.pictures.seed))
        yield self._sized("translate", _among, (image, label, styles), "image", self.domain)
        fixed = self.image(self.domain, sized=False)
        yield Graph("styles", lambda model, *given: model.styles_of(*given), (fixed, label), "styles", self.size)

    def repair(self) -> Iterator[Graph]:
        domain = Domain(self.model.channels)
        known = Port("known", self.pictures.known, {0: BATCH, 2: HEIGHT, 3: WIDTH})
        ports = (self.image(domain), *((known,) if self.model.masks else ()))
        yield self._sized("restore", lambda model, *given: model.repair(*given), ports, "image", domain)

    def stylize(self) -> Iterator[Graph]:
        colour = Domain(3)
        if not self.model.any_style:
            yield self._sized("stylize", lambda model, x: model.stylize(x), (self.image(colour),), "image", colour)
            return
        axes = {2: "style_height", 3: "style_width"}
        picture = Port("style", lambda _, size: -self.pictures(1, colour, size), axes, colour)
        strength = Port("strength", lambda *_: torch.tensor(0.8), {})
        ports = self.image(colour), picture, strength
        yield self._sized(
            "stylize", lambda model, image, style, share: model.stylize(image, [style], strength=share), ports,
            "image", colour,
        )  # fmt: skip

    def forecast(self, steps: int) -> Graph:
        context = self.model.context_frames

        def frames(n: int, size: Size) -> Tensor:
            return self.pictures(n * context, self.domain, size).unflatten(0, (n, context))

        port = Port("frames", frames, {0: BATCH})
        return Graph("predict", lambda model, given: model.predict(given, steps), (port,), "frames", self.size,
                     note=f"It takes {context} frames and makes the next {steps}.")  # fmt: skip

    def clips(self, frames: int) -> Graph:
        def codes(n: int) -> tuple[Tensor, Tensor]:
            found: tuple[Tensor, Tensor] = self.model.clip_codes(n, frames, self.pictures.seed)
            return found

        ports = Port("content", lambda n, _: codes(n)[0]), Port("motion", lambda n, _: codes(n)[1]), *self.label
        note = f"It makes {frames} frames."
        return Graph(
            "generator", lambda model, *given: model.decode_clips(*given), ports, "frames", self.size, note=note
        )

    def _sized(
        self, name: str, function: Callable[..., Tensor], ports: tuple[Port, ...], output: str, domain: Domain | None
    ) -> Graph:
        multiple = int(getattr(self.model, "multiple", 1))
        height, width = (max(-(-side // multiple), 2) * multiple for side in self.size)
        return Graph(name, function, ports, output, (height, width), True, multiple, domain)


def _map_styles(model: Any, latents: Tensor, *given: Tensor) -> Tensor:
    """Returns styles, given latents, labels of a conditional model, and ψ."""
    *label, truncation = given
    styles: Tensor = model.map_styles(latents, *label, truncation=truncation)
    return styles


def _translate(to: str) -> Callable[..., Tensor]:
    return lambda model, image: model.translate(image, to)


def _restyle(to: str) -> Callable[..., Tensor]:
    return lambda model, image, styles: model.restyle(image, to, styles)


def _styles_of(of: str) -> Callable[..., Tensor]:
    return lambda model, image: model.styles_of(image, of)


def _among(model: Any, image: Tensor, label: Tensor, styles: Tensor | None = None) -> Tensor:
    translated: Tensor = model.restyle(image, label, model.random_styles(1, 0) if styles is None else styles)
    return translated


MAKERS: Mapping[Any, Callable[[Graphs], Iterator[Graph]]] = {
    Styles: Graphs.styled,
    Decodes: Graphs.decoders,
    Encodes: Graphs.encoders,
    EncodesStyles: Graphs.style_encoders,
    HasLogits: Graphs.logits,
    Translates: Graphs.translators,
    TranslatesAmong: Graphs.among,
    Repairs: Graphs.repair,
    Stylizes: Graphs.stylize,
}
"""What makes the graphs of each capability."""
