"""Words of messages."""


def counted(count: int, thing: str, things: str = "") -> str:
    """Returns a number of things in words, such as 1 image or 1,024 images.

    Args:
        count: the number.
        thing: the name of one.
        things: the name of more; by default with an s.
    """
    return f"{count:,} {thing if count == 1 else things or f'{thing}s'}"
