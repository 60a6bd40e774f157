"""Tables in Markdown, line by line."""


def heading(cells: list[str]) -> list[str]:
    return [line(*cells), "|" + "---|" * len(cells)]


def line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
