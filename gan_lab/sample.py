"""Makes pictures with a trained model: ``python -m gan_lab.sample checkpoint=runs/…/last.ckpt n=64``."""

from typing import Any

from gan_lab.cli.app import entry


@entry("sample")
def main(config: Any) -> None:
    from gan_lab.inference import sampling as inference

    inference.sample(config)


if __name__ == "__main__":
    main()
