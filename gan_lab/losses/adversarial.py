"""Adversarial losses on logits, one value per sample: the discriminator minimises ``d``, the generator ``g``.

No network ends in a sigmoid; a loss that needs a probability takes it here, in a form that cannot overflow. Logits have
any shape with N first, and the losses have the same shape. ``decision_threshold`` is the logit between real and
generated, None if the loss has no such threshold; ``relativistic`` is true if ``g`` reads the real logits.
"""

from torch import Tensor
from torch.nn.functional import relu, softplus

from gan_lab.common.bounds import NonNegative


class Minimax:
    """The original game (Goodfellow et al. 2014, eq. 1): d = -log σ(r) - log(1 - σ(f)), g = log(1 - σ(f)).

    The generator's gradient vanishes where the discriminator is certain; ``NonSaturating`` avoids that.

    Args:
        smooth: one-sided label smoothing: the discriminator's target for real images is 1 - ``smooth`` (Salimans et al.
            2016, section 3.4, with 0.1).
    """

    relativistic = False
    decision_threshold = 0.0

    def __init__(self, smooth: NonNegative = 0.0) -> None:
        self.smooth = smooth

    def d(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Returns the discriminator's loss, of any shape that the real and fake logits, of any shape, broadcast to."""
        real = softplus(-real_logits)  # for a target of 1; log σ(-r) = log σ(r) - r gives that for another
        return (real if not self.smooth else real + self.smooth * real_logits) + softplus(fake_logits)

    def g(self, fake_logits: Tensor, real_logits: Tensor) -> Tensor:
        """Returns the generator's loss, of any shape that the fake and real logits, of any shape, broadcast to."""
        return -softplus(fake_logits)


class NonSaturating(Minimax):
    """Non-saturating generator loss (Goodfellow et al. 2014, section 3): g = -log σ(f)."""

    def g(self, fake_logits: Tensor, real_logits: Tensor) -> Tensor:
        """Returns -log σ(f), of any shape; the real logits, of any shape, are not used."""
        return softplus(-fake_logits)


class LeastSquares:
    """LSGAN (Mao et al. 2017, eq. 9): d = ½(r - 1)² + ½f², g = ½(f - 1)².

    Args:
        smooth: one-sided label smoothing: the discriminator's target for real images is 1 - ``smooth``.
    """

    relativistic = False
    decision_threshold = 0.5

    def __init__(self, smooth: NonNegative = 0.0) -> None:
        self.smooth = smooth

    def d(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Returns the discriminator's loss, of any shape that the real and fake logits, of any shape, broadcast to."""
        return ((real_logits - 1 + self.smooth).square() + fake_logits.square()) / 2

    def g(self, fake_logits: Tensor, real_logits: Tensor) -> Tensor:
        """Returns ½(f - 1)², of any shape; the real logits, of any shape, are not used."""
        return (fake_logits - 1).square() / 2


class Hinge:
    """Hinge loss (Lim and Ye 2017; Miyato et al. 2018, eq. 16, 17): d = max(0, 1 - r) + max(0, 1 + f), g = -f."""

    relativistic = False
    decision_threshold = 0.0

    def d(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Returns the discriminator's loss, of any shape that the real and fake logits, of any shape, broadcast to."""
        return relu(1 - real_logits) + relu(1 + fake_logits)

    def g(self, fake_logits: Tensor, real_logits: Tensor) -> Tensor:
        """Returns -f, of any shape; the real logits, of any shape, are not used."""
        return -fake_logits


class Wasserstein:
    """Wasserstein distance (Arjovsky et al. 2017, eq. 2): d = f - r, g = -f.

    A penalty or weight clipping must keep the discriminator (the paper's critic) Lipschitz continuous.
    """

    relativistic = False
    decision_threshold = None

    def d(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Returns f - r, of any shape that the real and fake logits, of any shape, broadcast to."""
        return fake_logits - real_logits

    def g(self, fake_logits: Tensor, real_logits: Tensor) -> Tensor:
        """Returns -f, of any shape; the real logits, of any shape, are not used."""
        return -fake_logits


class Relativistic:
    """Relativistic pairing (Jolicoeur-Martineau 2018; Huang et al. 2024, R3GAN, eq. 2).

    d = -log σ(r - f), g = -log σ(f - r); real and generated samples are paired by their place in the batch.
    """

    relativistic = True
    decision_threshold = None

    def d(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Returns -log σ(r - f), of any shape that the real and fake logits, of any shape, broadcast to."""
        return softplus(fake_logits - real_logits)

    def g(self, fake_logits: Tensor, real_logits: Tensor) -> Tensor:
        """Returns -log σ(f - r), of any shape that the fake and real logits, of any shape, broadcast to."""
        return softplus(real_logits - fake_logits)
