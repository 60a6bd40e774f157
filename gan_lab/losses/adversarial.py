"""Adversarial objectives on logits, one value a sample: ``d`` is what the discriminator minimises, ``g`` the generator.

There is no sigmoid in any network; where a probability is meant it is taken here, in a form that cannot overflow.
``decision_threshold`` is the logit between what the discriminator calls real and generated, None where it makes no such call;
``relativistic`` says that ``g`` reads the real logits.
"""

from torch import Tensor
from torch.nn.functional import relu, softplus


class Minimax:
    """The original game (Goodfellow et al. 2014, eq. 1): d = -log σ(r) - log(1 - σ(f)), g = log(1 - σ(f)).

    The generator's gradient vanishes where the discriminator is sure; ``NonSaturating`` is its remedy.

    Args:
        smooth: by how much the discriminator's target for real pictures falls short of 1 (Salimans et al. 2016, section
            3.4, one-sided label smoothing: 0.1).
    """

    relativistic = False
    decision_threshold = 0.0

    def __init__(self, smooth: float = 0.0) -> None:
        self.smooth = smooth

    def d(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        real = softplus(-real_logits)  # of a target of 1; log σ(-r) = log σ(r) - r gives that of another
        return (real if not self.smooth else real + self.smooth * real_logits) + softplus(fake_logits)

    def g(self, fake_logits: Tensor, real_logits: Tensor) -> Tensor:
        return -softplus(fake_logits)


class NonSaturating(Minimax):
    """Goodfellow et al. 2014, section 3: g = -log σ(f)."""

    def g(self, fake_logits: Tensor, real_logits: Tensor) -> Tensor:
        return softplus(-fake_logits)


class LeastSquares:
    """Mao et al. 2017 (LSGAN), eq. 9: d = ½(r - 1)² + ½f², g = ½(f - 1)².

    Args:
        smooth: by how much the discriminator's target for real pictures falls short of 1.
    """

    relativistic = False
    decision_threshold = 0.5

    def __init__(self, smooth: float = 0.0) -> None:
        self.smooth = smooth

    def d(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return ((real_logits - 1 + self.smooth).square() + fake_logits.square()) / 2

    def g(self, fake_logits: Tensor, real_logits: Tensor) -> Tensor:
        return (fake_logits - 1).square() / 2


class Hinge:
    """Lim and Ye 2017; Miyato et al. 2018, eq. 16 and 17: d = max(0, 1 - r) + max(0, 1 + f), g = -f."""

    relativistic = False
    decision_threshold = 0.0

    def d(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return relu(1 - real_logits) + relu(1 + fake_logits)

    def g(self, fake_logits: Tensor, real_logits: Tensor) -> Tensor:
        return -fake_logits


class Wasserstein:
    """Arjovsky et al. 2017, eq. 2: d = f - r, g = -f; the critic must be kept Lipschitz by a penalty or clipping."""

    relativistic = False
    decision_threshold = None

    def d(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return fake_logits - real_logits

    def g(self, fake_logits: Tensor, real_logits: Tensor) -> Tensor:
        return -fake_logits


class Relativistic:
    """Relativistic pairing (Jolicoeur-Martineau 2018; Huang et al. 2024, R3GAN, eq. 2).

    d = -log σ(r - f), g = -log σ(f - r), real and fake paired by their place in the batch.
    """

    relativistic = True
    decision_threshold = None

    def d(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return softplus(fake_logits - real_logits)

    def g(self, fake_logits: Tensor, real_logits: Tensor) -> Tensor:
        return softplus(real_logits - fake_logits)
