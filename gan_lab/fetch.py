"""Weights that figures need, downloaded once: ``python -m gan_lab.fetch inception to=folder``."""

from gan_lab.cli.app import plain_entry


@plain_entry("inception", to=None)
def main(names: list[str], to: str | None) -> None:
    from pathlib import Path

    from gan_lab.common.errors import UserError
    from gan_lab.evaluation.features.inception import INCEPTION_URL, inception_weights

    if names != ["inception"]:
        raise UserError(f"gan_lab.fetch knows the weights of inception, not {' '.join(names)}: give that name.")
    target = None if to is None else Path(to).expanduser() / INCEPTION_URL.rpartition("/")[2]
    print(f"{inception_weights(target, download=True)}: whole and checked.")


if __name__ == "__main__":
    main()
