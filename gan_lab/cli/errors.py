"""Errors in one sentence."""

import functools
import sys
from collections.abc import Callable
from typing import Any


def spoken(work: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Errors of the user's making end with their sentence alone and status 2, Ctrl-C with 130; a sweep goes on."""

    @functools.wraps(work)
    def task(config: Any) -> Any:
        from gan_lab.common.errors import UserError

        try:
            return work(config)
        except UserError as error:
            print(f"gan_lab: {error}", file=sys.stderr)
            sys.exit(2)
        except KeyboardInterrupt:
            sys.exit(130)

    return task
