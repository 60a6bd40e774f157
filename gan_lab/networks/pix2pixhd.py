"""The coarse-to-fine generator of pix2pixHD.

Wang et al. 2018, "High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs".
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.common.bounds import Natural, PositiveInt
from gan_lab.common.constraints import height_and_width
from gan_lab.common.distributed import all_reduce_sum
from gan_lab.common.errors import UserError
from gan_lab.networks import resnet
from gan_lab.networks.layers import init_weights, make_norm, upsampling
from gan_lab.networks.patchgan import halved

COARSE, FIXED, WHOLE = 0, 1, 2
"""Stages: the global generator alone, at half the size; the enhancer, with the global generator fixed; both."""
OBJECTS = 256
"""Numbers that an object can have."""
DECAY = 0.99
"""Of the sums of features by class, in each training step."""


class Generator(nn.Module):
    """Maps label maps (N, C, H, W) to images (N, C', H, W) in [-1, 1]: a global generator at half size, and an enhancer
    of its maps (section 3.1).

    With 64 filters and 36 channels (Cityscapes) the global generator has 182,546,755 parameters. Both together have
    182,857,059, without the last layer of the global generator, which the enhancer does not use.

    Args:
        channels: C: classes, one for pixels of no class, edges of objects.
        out_channels: C'.
        filters: maps of the global generator's first layer; the enhancer's has half as many.
        halvings, blocks: of the global generator.
        local_blocks: residual blocks of the enhancer.
        enhancer: adds the enhancer; without it the global generator makes images at their own size.
        features: maps of an encoder of images, averaged over each object, that the generator gets beside the label map
            (section 3.4); 0 for no encoder.
        labels: K, the first channels of label maps, which are classes; needed for features.
        norm, upsample: see ``gan_lab.networks.resnet.Generator``.

    Attributes:
        multiple: H and W must be multiples of it.
        stage: of training, see ``COARSE``.

    Raises:
        UserError: for features without label maps.
    """

    stage: Tensor
    sums: Tensor
    counts: Tensor

    def __init__(
        self,
        channels: PositiveInt = 3,
        out_channels: PositiveInt = 3,
        filters: PositiveInt = 64,
        halvings: PositiveInt = 4,
        blocks: Natural = 9,
        local_blocks: Natural = 3,
        enhancer: bool = True,
        features: Natural = 0,
        labels: Natural = 0,
        norm: str = "plain_instance",
        upsample: str = "transposed",
    ) -> None:
        super().__init__()
        if features and not labels:
            raise UserError(
                "generator.features are of objects in label maps: give data.domains.a.labels, or features=0."
            )
        options = {"halvings": halvings, "norm": norm, "upsample": upsample}
        inputs, self.features, self.labels = channels + features, features, labels
        self.coarse = resnet.Generator(inputs, out_channels, filters, blocks, **options)  # type: ignore[arg-type]
        self.enhancer = Enhancer(inputs, out_channels, filters // 2, local_blocks, norm, upsample) if enhancer else None
        self.multiple = self.coarse.multiple << int(enhancer)
        self.encoder = resnet.Generator(out_channels, features, filters // 4, 0, **options) if features else None  # type: ignore[arg-type]
        self.register_buffer("stage", torch.tensor(COARSE if enhancer else WHOLE))
        self.last_stage = COARSE if enhancer else WHOLE
        self.register_buffer("sums", torch.zeros(labels, features))
        self.register_buffer("counts", torch.zeros(labels, 1))

    @staticmethod
    def check_data(data: Mapping[str, Any], halvings: int = 4, enhancer: bool = True, **_: object) -> None:
        """Checks that the images' sides can be halved as often, see ``ChecksData``.

        Raises:
            UserError: if they cannot.
        """
        multiple = 1 << halvings + enhancer
        if any(side % multiple for side in height_and_width(data["size"])):
            raise UserError(
                f"data.size={data['size']} is not valid with generator.halvings={halvings}: give multiples of "
                f"{multiple}, or fewer halvings."
            )

    def forward(self, labels: Tensor, features: Tensor | None = None, stage: int | None = None) -> Tensor:
        """Returns images (N, C', H, W).

        Args:
            labels: label maps (N, C, H, W).
            features: of objects (N, F, H, W), see ``encode``; without, the mean features of each class.
            stage: see ``COARSE``; None for the stage that was reached. Before the enhancer is trained, images of half
                the size are enlarged.
        """
        inputs = self.with_features(labels, features)
        if self.enhancer is None:
            image: Tensor = self.coarse(inputs)
            return image
        stage = self.reached() if stage is None else stage
        if stage == COARSE:
            return F.interpolate(self.coarse(halved(inputs)), scale_factor=2.0, mode="bilinear")
        with torch.set_grad_enabled(torch.is_grad_enabled() and stage == WHOLE):
            maps = self.coarse.layers[:-3](halved(inputs))
        enhanced: Tensor = self.enhancer(inputs, maps)
        return enhanced

    def reached(self) -> int:
        """Returns the stage that was reached; a graph keeps that of the call before it was traced."""
        if not torch.compiler.is_exporting():
            self.last_stage = int(self.stage)
        return self.last_stage

    def with_features(self, labels: Tensor, features: Tensor | None) -> Tensor:
        """Returns what networks get, (N, C + F, H, W), given label maps (N, C, H, W) and features (N, F, H, W)."""
        if not self.features:
            return labels
        if features is None:
            means = (self.sums / self.counts.clamp(min=1e-6)).to(labels.dtype)
            features = torch.einsum("nkhw,kf->nfhw", labels[:, : self.labels], means)
        return torch.cat([labels, features.to(labels.dtype)], 1)

    def encode(self, labels: Tensor, images: Tensor, objects: Tensor | None, trained: bool = True) -> Tensor:
        """Returns the features (N, F, H, W) of the objects in images, equal at all pixels of an object.

        They are means over the object in the encoder's maps of the image at half its size (at its own size, without an
        enhancer). In training mode, the sums over classes follow.

        Args:
            labels: label maps (N, C, H, W).
            images: (N, C', H, W).
            objects: numbers of the objects, integers (N, 1, H, W); None takes the classes for objects.
            trained: lets gradients reach the encoder.
        """
        assert self.encoder is not None
        classes = labels[:, : self.labels]
        numbers = classes.argmax(1, keepdim=True) if objects is None else objects.long()
        step = 1 if self.enhancer is None else 2
        with torch.set_grad_enabled(torch.is_grad_enabled() and trained):
            maps = self.encoder(images if step == 1 else halved(images)).float()
            means = object_means(maps, numbers[..., ::step, ::step])
            if self.training:
                self._follow(classes[..., ::step, ::step], painted(means, numbers[..., ::step, ::step]))
            return painted(means, numbers)

    @torch.no_grad()
    def _follow(self, classes: Tensor, features: Tensor) -> None:
        """Adds features (N, F, h, w) of all ranks to the sums over classes (N, K, h, w), which forget earlier ones."""
        classes, features = classes.float().flatten(2), features.float().flatten(2)
        with torch.autocast(features.device.type, enabled=False):  # sums of many pixels
            sums = (classes @ features.mT).sum(0)
        found = all_reduce_sum(torch.cat([sums, classes.sum((0, 2))[:, None]], 1))
        self.sums.mul_(DECAY).add_(found[:, :-1])
        self.counts.mul_(DECAY).add_(found[:, -1:])


class Enhancer(nn.Module):
    """Maps label maps (N, C, H, W), and maps (N, 2 F, H / 2, W / 2) of the global generator, to images (section 3.1).

    Args:
        channels, out_channels: C, and those of the images.
        filters: F.
        blocks, norm, upsample: see ``Generator``.
    """

    def __init__(self, channels: int, out_channels: int, filters: int, blocks: int, norm: str, upsample: str) -> None:
        super().__init__()
        wide, bias = 2 * filters, norm != "batch"

        def norm_relu(maps: int) -> list[nn.Module]:
            return [make_norm(norm, maps), nn.ReLU(inplace=True)]

        self.down = nn.Sequential(
            nn.ReflectionPad2d(3),
            *(nn.Conv2d(channels, filters, 7, bias=bias), *norm_relu(filters)),
            *(nn.Conv2d(filters, wide, 3, 2, 1, bias=bias), *norm_relu(wide)),
        )
        self.up = nn.Sequential(
            *(resnet.ResidualBlock(wide, norm, bias, 0.0) for _ in range(blocks)),
            *upsampling(upsample, nn.ConvTranspose2d(wide, filters, 3, 2, 1, 1, bias=bias)),
            *norm_relu(filters),
            *(nn.ReflectionPad2d(3), nn.Conv2d(filters, out_channels, 7), nn.Tanh()),
        )
        init_weights(self, "normal")

    def forward(self, labels: Tensor, maps: Tensor) -> Tensor:
        image: Tensor = self.up(self.down(labels) + maps)
        return image


def object_means(maps: Tensor, objects: Tensor) -> Tensor:
    """Returns the means (N, F, 256) of maps (N, F, H, W) over each object; 0 for numbers without pixels.

    Args:
        maps: see above.
        objects: numbers of the objects, int64 (N, 1, H, W) in [0, 256).
    """
    numbers = objects.flatten(2)
    sums = maps.new_zeros(*maps.shape[:2], OBJECTS).scatter_add(
        2, numbers.expand(-1, maps.shape[1], -1), maps.flatten(2)
    )
    counts = maps.new_zeros(len(maps), 1, OBJECTS).scatter_add(2, numbers, torch.ones_like(numbers, dtype=maps.dtype))
    return sums / counts.clamp(min=1)


def painted(means: Tensor, objects: Tensor) -> Tensor:
    """Returns maps (N, F, H, W) with the mean (N, F, 256) of its object at each pixel; see ``object_means``."""
    numbers = objects.flatten(2).expand(-1, means.shape[1], -1)
    return means.gather(2, numbers).view(*means.shape[:2], *objects.shape[2:])
