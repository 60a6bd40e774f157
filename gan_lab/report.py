"""Runs as pages: ``python -m gan_lab.report runs/dcgan-digits/…``, or over many ``python -m gan_lab.report runs``."""

from gan_lab.cli.app import plain_entry


@plain_entry("runs, or folders of runs, or a sweep's", output=None, against=None)
def main(paths: list[str], output: str | None, against: str | None) -> None:
    from gan_lab.evaluation.reports.collection import report

    report(paths, output, against)


if __name__ == "__main__":
    main()
