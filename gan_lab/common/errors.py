"""Errors that the user can fix."""


class UserError(Exception):
    """An error that the user can fix. Its message is one sentence: what is wrong, and what would work.

    Commands print the message alone and exit with status 2; in Python it is an ordinary exception.
    """
