"""Runs a script or a module as it is, and writes the time of each step of the first optimizer that steps.

    python experiments/race_marks.py FILE SCRIPT|-m MODULE [ARGUMENTS]

A time is that of the system's monotonic clock in seconds, a float64, so that times of several processes compare. The
span between two marks is one whole iteration: data, step, logging and printing.
"""

import os
import runpy
import struct
import sys
import time
from pathlib import Path
from typing import Any

from torch.optim.optimizer import register_optimizer_step_post_hook


def main() -> None:
    file, target, *arguments = sys.argv[1:]
    stream = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    first: list[int] = []

    def mark(optimizer: object, *_: Any) -> None:
        if not first:
            first.append(id(optimizer))
        if id(optimizer) == first[0]:
            os.write(stream, struct.pack("d", time.monotonic()))

    register_optimizer_step_post_hook(mark)
    sys.path.pop(0)  # this file's folder
    if target == "-m":
        sys.argv = arguments
        sys.path.insert(0, str(Path.cwd()))
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = [target, *arguments]
        sys.path.insert(0, str(Path(target).resolve().parent))
        runpy.run_path(target, run_name="__main__")


if __name__ == "__main__":
    main()
