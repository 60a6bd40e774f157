"""Translates pictures with a trained model: ``python -m gan_lab.translate checkpoint=… input=photos output=zebras``."""

from typing import Any

from gan_lab.cli.app import entry


@entry("translate")
def main(config: Any) -> None:
    from gan_lab import translating

    translating.translate(config)


if __name__ == "__main__":
    main()
