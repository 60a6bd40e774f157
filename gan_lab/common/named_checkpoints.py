"""Checkpoints by name: the newest run's, or those of the newest run of a name."""

from pathlib import Path

from gan_lab.common.errors import UserError
from gan_lab.common.found_files import newest_first
from gan_lab.common.hub import is_on_hub
from gan_lab.common.near_names import nearest
from gan_lab.common.runs import BEST, LAST, checkpoint_path

RUNS = Path("runs")
"""The folder of run folders, in the current one."""
NEWEST = {"last": LAST, "best": BEST}
"""Names that stand for a file of the newest run."""


def named_checkpoint(given: str | Path, runs: Path = RUNS) -> Path:
    """Returns the checkpoint that a path or a name stands for.

    Args:
        given: a file; an address on the hub, ``hf://user/name``; a run's folder, for its last checkpoint; "last" or
            "best", for that checkpoint of the newest run; or a run's name, such as dcgan-digits, for the last
            checkpoint of the newest run of that name. A file or folder of that name comes first.
        runs: the folder of run folders. The newest run is the one whose last checkpoint was saved last.

    Raises:
        UserError: if there is none.
    """
    path = Path(given).expanduser()
    if is_on_hub(given) or path.exists() or path.is_absolute() or path.suffix in (".ckpt", ".safetensors"):
        return checkpoint_path(given)
    if str(path) in NEWEST:
        if not (found := newest_first(runs, LAST)):
            raise UserError(f"There is no run in {runs} that checkpoint={path} could stand for: give a path.")
        return _of_run(found[0], NEWEST[str(path)])
    if (runs / path).is_dir() and ".." not in path.parts:
        if not (found := newest_first(runs / path, LAST)):
            raise UserError(
                f"No run in {runs / path} has saved a checkpoint yet: wait for its first, or give another run."
            )
        return found[0]
    near = nearest(str(path), [each.name for each in runs.glob("*") if each.is_dir()])
    if near:
        raise UserError(f"There is neither a checkpoint nor a run {path}: did you mean {near}?")
    return checkpoint_path(path)


def _of_run(last: Path, name: str) -> Path:
    path = last.with_name(name)
    if not path.is_file():
        raise UserError(
            f"The newest run, {last.parent}, has no {name}, because no metric was measured: give checkpoint=last."
        )
    return path
