"""StarGAN (Choi et al. 2018): one generator that gets the target domain, and a discriminator that also classifies."""

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from gan_lab.common.bounds import Natural, NonNegative, PositiveInt
from gan_lab.common.distributed import rank_and_world_size
from gan_lab.common.errors import UserError
from gan_lab.common.gradients import bounded
from gan_lab.common.types import Batch, Losses, Phase, RandomStream, Shared
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.models.bases.many_domains import ManyDomainsModule
from gan_lab.training.alternating import MakeOptimizer
from gan_lab.training.collectives import gather_rows
from gan_lab.training.options import EngineOptions


class StarGAN(ManyDomainsModule):
    """Phases: discriminator, then generator. Satisfies ``TranslatesAmong``, without styles.

    Domains are classes, or combinations of A attributes: then class k has the binary digits of k. Networks get them as
    codes (N, K) or (N, A) of 0 and 1.

    Args:
        generator: images and codes → images.
        discriminator: images → logits of patches (N, 1, h, w), and logits of codes (N, K or A).
        classes, objective, g_optimizer, d_optimizer: see ``ManyDomainsModule``.
        attributes: A; 0 for classes.
        classification: weight λ_cls of the classification losses (eq. 5, 6).
        cycle: weight λ_rec of the reconstruction (eq. 6).
        engine: options that do not depend on the method.

    Raises:
        UserError: for a single domain, and if the classes are not all combinations.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        classes: PositiveInt,
        objective: AdversarialObjective,
        g_optimizer: MakeOptimizer,
        d_optimizer: MakeOptimizer,
        attributes: Natural = 0,
        classification: NonNegative = 1.0,
        cycle: NonNegative = 10.0,
        engine: EngineOptions | None = None,
    ) -> None:
        super().__init__({"generator": generator}, discriminator, classes, objective, g_optimizer, d_optimizer, engine)
        if attributes and classes != 1 << attributes:
            raise UserError(
                f"{attributes} attributes have {1 << attributes} combinations, not {classes}: give "
                f"model.classes={1 << attributes}."
            )
        self.attributes, self.classification, self.cycle = attributes, classification, cycle

    def phases(self) -> Sequence[Phase]:
        return [Phase("discriminator", self.d_losses), Phase("generator", self.g_losses, self.objective.n_critic)]

    def shared_forward(self, batch: Batch, noise: RandomStream) -> Shared:
        """Returns images in domains that are those of the batch in random order."""
        to = permuted(self.codes_of(batch), noise)
        return {"to": to, "fake": self.generator(batch["image"], to)}

    def codes_of(self, batch: Batch) -> Tensor:
        """Returns the codes of a batch's images, float32 (N, K or A)."""
        return batch["attributes"] if self.attributes else self.code(batch["label"])

    def code(self, domains: Tensor) -> Tensor:
        """Returns the codes (N, K or A), float32, of classes (N,)."""
        if not self.attributes:
            return F.one_hot(domains, self.classes).float()
        return (domains[:, None] >> torch.arange(self.attributes, device=domains.device) & 1).float()

    def d_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        """Returns the losses of eq. 5; generated images are not classified."""
        discriminator = Classifying(self.discriminator)
        losses = self.objective.d(discriminator, batch["image"], shared["fake"], noise, self.iteration)
        found, codes = discriminator.found[0], self.codes_of(batch)  # the real images pass first
        accuracy = ((found > 0) == (codes > 0)) if self.attributes else found.argmax(1) == codes.argmax(1)
        terms = {"class": self.classification * self.classification_loss(found, codes)}
        return Losses({**losses.terms, **terms}, {**losses.logs, "class_accuracy": accuracy.float().mean()})

    def g_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        """Returns the losses of eq. 6."""
        discriminator, image, fake = Classifying(self.discriminator), batch["image"], shared["fake"]
        adversarial = self.objective.g(discriminator, fake, image)
        classification = self.classification_loss(discriminator.found[0], shared["to"])
        back = self.generator(fake, self.codes_of(batch))
        return Losses({
            "adversarial": adversarial,
            "class": self.classification * classification,
            "cycle": self.cycle * l1_loss(back.float(), image),
        })  # fmt: skip

    def classification_loss(self, found: Tensor, codes: Tensor) -> Tensor:
        """Returns the cross entropy of logits (N, K or A) with codes, a scalar; that of attributes is summed over A."""
        if not self.attributes:
            return F.cross_entropy(found, codes.argmax(1))
        return F.binary_cross_entropy_with_logits(found, codes, reduction="sum") / len(found)

    # The capability TranslatesAmong.

    def random_styles(self, n: int, to: int | Tensor, seed: int = 0, start: int = 0) -> Tensor:
        """Returns no styles, (n, 0)."""
        return torch.zeros(n, 0, device=self.device)

    def styles_of(self, image: Tensor, of: int | Tensor) -> Tensor:
        """Returns no styles, (N, 0)."""
        return self.random_styles(len(image), of)

    def restyle(self, image: Tensor, to: int | Tensor, styles: Tensor) -> Tensor:
        """Translates images (N, C, H, W) in [-1, 1] to a class for all or int64 (N,), or to attributes float (N, A).

        Returns:
            float32 (N, C, H, W) in [-1, 1].

        Raises:
            UserError: for a class that the model does not know.
        """
        if isinstance(to, Tensor) and to.is_floating_point() and to.shape == (len(image), self.attributes):
            codes = to.to(self.device)
        else:
            codes = self.code(self.labels.check(to, len(image), self.device))
        with self.inference_mode():
            return bounded(self.averaged("generator")(image.to(self.device), codes))


class Classifying:
    """The discriminator of a turn, which keeps the logits of codes that it finds.

    Attributes:
        found: of each call, float32 (N, K).
    """

    def __init__(self, discriminator: nn.Module) -> None:
        self.discriminator = discriminator
        self.found: list[Tensor] = []

    def __call__(self, images: Tensor) -> Tensor:
        """Returns the logits of patches (N, 1, h, w), float32, of images (N, C, H, W)."""
        logits, found = cast(tuple[Tensor, Tensor], self.discriminator(images))
        self.found.append(found.float())
        return logits.float()


def permuted(rows: Tensor, noise: RandomStream) -> Tensor:
    """Returns this rank's part of the rows of all ranks, (N, …) each, in random order. Collective."""
    order = gather_rows(noise.uniform(len(rows))).argsort()
    rank = rank_and_world_size()[0]
    return gather_rows(rows)[order[rank * len(rows) : (rank + 1) * len(rows)]]
