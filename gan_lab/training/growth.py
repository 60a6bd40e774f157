"""The growth of networks over a run (Karras et al. 2018, Progressive Growing of GANs, figure 2 and appendix A.1)."""

from gan_lab.common.bounds import PositiveInt, Probability


class Growth:
    """The level of networks that grow, as a function of what a resumed run restores.

    A level is 0 for their smallest images, 1 for twice the sides, and so on. Its fraction is α: at level 1.3 the images
    have the sides of level 2, of which 0.3 is faded in.

    Args:
        images: images from one whole level to the next, the paper's 1.6 million; None gives all levels but the highest
            equal parts of the budget.
        fading: share of them in which the next level fades in, after the rest.
        until: share of the budget at which the highest level is whole; not used with ``images``.

    Attributes:
        level: the present one, which checkpoints keep.
    """

    def __init__(self, images: PositiveInt | None = None, fading: Probability = 0.5, until: Probability = 0.7) -> None:
        self.images, self.fading, self.until, self.level = images, fading, until, 0.0

    def at(self, top: int, images: int, progress: float) -> float:
        """Returns the level in [0, top], given the images seen and the share of the budget that is used."""
        if self.images is not None:
            passed = images / self.images
        else:
            passed = top * progress / self.until if progress < self.until else top
        whole, rest = divmod(min(passed, top), 1.0)
        return whole + max(0.0, 1 - (1 - rest) / self.fading) if self.fading else whole

    def state_dict(self) -> dict[str, float]:
        return {"level": self.level}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        self.level = state_dict["level"]
