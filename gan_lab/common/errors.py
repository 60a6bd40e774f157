"""Errors of the user's making."""


class UserError(Exception):
    """A mistake the user can mend. Its text is one sentence: what is wrong, and what would work.

    Entry points print the text alone and end with exit status 2; in Python it is an ordinary exception.
    """
