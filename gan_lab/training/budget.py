"""Length of a run: in images, epochs or minutes."""

from gan_lab.common.bounds import PositiveFloat, PositiveInt
from gan_lab.common.errors import UserError


class Budget:
    """The length of a run; the first limit that is reached ends it.

    Args:
        images: images seen, over all ranks.
        epochs: passes over the training split.
        minutes: time from the first iteration on, sampling and measuring included, summed over the parts of a resumed
            run.

    Raises:
        UserError: if no limit is given, or one is not positive.
    """

    def __init__(
        self,
        images: PositiveInt | None = None,
        epochs: PositiveFloat | None = None,
        minutes: PositiveFloat | None = None,
    ) -> None:
        limits = [limit for limit in (images, epochs, minutes) if limit is not None]
        if not limits or any(limit <= 0 for limit in limits):
            raise UserError(
                "A run needs a positive budget: give budget.images=…, budget.epochs=… or budget.minutes=… a number."
            )
        self.images, self.epochs, self.minutes = images, epochs, minutes

    def progress(self, images_seen: int, images_per_epoch: int, minutes: float) -> float:
        """Returns the share of the budget that is used: 1 or more when it is spent."""
        shares = [0.0]
        if self.images:
            shares.append(images_seen / self.images)
        if self.epochs:
            shares.append(images_seen / (self.epochs * images_per_epoch))
        if self.minutes:
            shares.append(minutes / self.minutes)
        return max(shares)
