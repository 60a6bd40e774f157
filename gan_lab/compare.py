"""Evaluations side by side: ``python -m gan_lab.compare runs/a runs/b by=fid output=compare.html``."""

from gan_lab.cli.app import plain_entry


@plain_entry("runs or files of evaluations", by=None, output="compare.html")
def main(paths: list[str], by: str | None, output: str) -> None:
    from gan_lab.evaluation.reports.comparison import compare

    compare(paths, by, output)


if __name__ == "__main__":
    main()
