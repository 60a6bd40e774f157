"""Trains a model: ``python -m gan_lab.train model=dcgan data=mnist``."""

from typing import Any

from gan_lab.cli import entry


@entry("train")
def main(config: Any) -> float | None:
    from gan_lab import sweeps

    return sweeps.train(config)


if __name__ == "__main__":
    main()
