"""Errors of the user's making, in one sentence."""

import functools
import sys
from collections.abc import Callable
from typing import Any


def report_user_errors(work: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps ``work`` so that a ``UserError`` prints its sentence and exits with status 2, and Ctrl-C exits with 130."""

    @functools.wraps(work)
    def reported(*arguments: Any) -> Any:
        from gan_lab.common.errors import UserError

        try:
            return work(*arguments)
        except UserError as error:
            print(f"gan_lab: {error}", file=sys.stderr)
            sys.exit(2)
        except KeyboardInterrupt:
            sys.exit(130)

    return reported
