"""Measures a trained model: ``python -m gan_lab.evaluate checkpoint=runs/…/last.ckpt``."""

from typing import Any

from gan_lab.cli.app import entry


@entry("evaluate")
def main(config: Any) -> None:
    from gan_lab import evaluating

    evaluating.evaluate(config)


if __name__ == "__main__":
    main()
