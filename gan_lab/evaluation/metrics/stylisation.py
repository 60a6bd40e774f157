"""The quality of stylised images: nearness to the style, and nearness to the photograph's content."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gan_lab.common.bounds import PositiveInt
from gan_lab.common.capabilities import Stylizes, TwoDomains
from gan_lab.common.distributed import rank_and_world_size
from gan_lab.common.errors import UserError
from gan_lab.common.images import to_float, to_uint8
from gan_lab.common.precision import full_precision
from gan_lab.common.progress import track
from gan_lab.common.stopping import in_rounds
from gan_lab.data.subsets import capped_count, evenly_spaced
from gan_lab.evaluation.feature_table import FeatureTable
from gan_lab.evaluation.features.extractors import read_packaged
from gan_lab.evaluation.features.maps import general
from gan_lab.evaluation.model_metric import DEFAULT_OPTIONS, EvalOptions, ModelMetric
from gan_lab.evaluation.statistics import Values
from gan_lab.inference.stylist import resized
from gan_lab.inference.trained_style import stylised
from gan_lab.losses.style import content_loss, gram, style_loss

SPLIT = "test"
PICTURES = 64
"""Style pictures at most; photograph i takes picture i modulo their number."""
CONTENT = 2
"""Layers, the last ones, that describe content."""


class Stylisation(ModelMetric[Stylizes, TwoDomains]):
    """Compares stylised test photographs with the pictures and with the photographs, by maps of EfficientNet-Lite0.

    - ``style_left``: the style loss (see ``losses.style``, over Gram matrices) in shares of that of the photographs;
    - ``content_lost``: the content loss in shares of that of the pictures;
    - ``stylisation``: the sum. It is about 1 for the photographs themselves, and for the pictures themselves.

    Args:
        n: the number of photographs, evenly spaced over the test split.
        max_n: the evaluation's maximal number of images; None for no maximum.

    Raises:
        UserError: if n is below 1.
    """

    def __init__(self, n: PositiveInt = 200, max_n: PositiveInt | None = None) -> None:
        super().__init__()
        if n < 1:
            raise UserError(f"n={n} is not valid for stylisations: give at least 1 image.")
        self.n, self.network = n if max_n is None else min(n, max_n), general()
        self.table: FeatureTable | None = None

    def applies_to(self, model: object, data: object) -> bool:
        """Tells whether the model gives images a style."""
        return isinstance(model, Stylizes) and isinstance(data, TwoDomains)

    @torch.no_grad()
    @full_precision()
    def update(self, model: Stylizes, data: TwoDomains, options: EvalOptions = DEFAULT_OPTIONS) -> None:
        """Measures this rank's share of the photographs."""
        photos, pictures = data.sides["a"], data.sides["b"]
        n, count = capped_count(photos, SPLIT, self.n), capped_count(pictures, SPLIT, PICTURES)
        styles = [to_float(pixels).to(self.device) for _, pixels in evenly_spaced(pictures, SPLIT, count, 1)]
        targets = [[gram(maps) for maps in self.network(style)] for style in styles]
        self.described = {
            "n": n, "pictures": count, "split": SPLIT, "network": "EfficientNet-Lite0",
            "sha256": read_packaged("general")[2],
        }  # fmt: skip
        self.table = FeatureTable(4, n).to(self.device)
        rank, world = rank_and_world_size()
        shown = track(evenly_spaced(photos, SPLIT, n, 1), "stylisations", n, options.progress and rank == 0)
        for number, (row, pixels) in enumerate(in_rounds(shown, world)):
            if number % world == rank:
                photo, picture = to_float(pixels).to(self.device), row % count
                losses = self._losses(model, photo, styles[picture], targets[picture])
                self.table.update(losses, torch.tensor([row], device=self.device))

    def _losses(self, model: Stylizes, photo: Tensor, style: Tensor, targets: Sequence[Tensor]) -> Tensor:
        """Returns the style loss of a stylised photograph and of the photograph, and the content loss of the stylised
        photograph and of the picture, (1, 4).
        """
        image = to_float(to_uint8(stylised(model, photo, [style]).to(self.device)))
        maps, own = self.network(image), self.network(photo)
        other = self.network(resized(style, (photo.shape[2], photo.shape[3])))
        styles = [style_loss([gram(each) for each in found], targets) for found in (maps, own)]
        contents = [content_loss(found[-CONTENT:], own[-CONTENT:]) for found in (maps, other)]
        return torch.stack([*styles, *contents])[None]

    def compute(self) -> Values:
        """Returns the metrics over all ranks (collective)."""
        assert self.table is not None
        style, style_before, content, content_of_style = self.table.compute().cpu().double().mean(0).tolist()
        left, lost = style / max(style_before, 1e-12), content / max(content_of_style, 1e-12)
        return {"stylisation": left + lost, "style_left": left, "content_lost": lost}

    def reset(self) -> None:
        """Forgets the images."""
        super().reset()
        self.table = None
