"""Trains a model: ``python -m gan_lab.train model=dcgan data=mnist``."""

from typing import Any

from gan_lab.cli.app import entry


@entry("train")
def main(config: Any) -> float | None:
    from gan_lab.cli.sweeps import jobs as sweeps

    return sweeps.train(config)


if __name__ == "__main__":
    main()
