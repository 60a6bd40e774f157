"""Makes given pictures again: ``python -m gan_lab.reconstruct checkpoint=… input=photos output=reconstructions``."""

from typing import Any

from gan_lab.cli.app import entry


@entry("reconstruct")
def main(config: Any) -> None:
    from gan_lab import reconstructing

    reconstructing.reconstruct(config)


if __name__ == "__main__":
    main()
