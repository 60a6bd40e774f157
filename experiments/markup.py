"""Tables in Markdown."""


def heading(cells: list[str]) -> list[str]:
    """Returns the header row of a table and the row of dashes below it."""
    return [line(*cells), "|" + "---|" * len(cells)]


def line(*cells: str) -> str:
    """Returns one row of a table."""
    return f"| {' | '.join(cells)} |"
