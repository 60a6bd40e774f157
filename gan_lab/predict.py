"""Continues sequences of pictures: ``python -m gan_lab.predict checkpoint=… input=clip.gif frames=10``."""

from typing import Any

from gan_lab.cli.app import entry


@entry("predict")
def main(config: Any) -> None:
    from gan_lab import predicting

    predicting.predict(config)


if __name__ == "__main__":
    main()
