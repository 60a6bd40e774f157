"""Training by the command in a test's folder."""

from gan_lab.common import runs
from gan_lab.train import train


def starter(folder, always):
    """Returns a function that trains with these arguments and more; it gives the run's folder and the exit status."""

    def started(*arguments):
        status = 0
        try:
            train.run(*always, f"runs={folder}", *arguments)
        except SystemExit as ended:
            status = ended.code
        (run,) = folder.glob("*/*")
        return run, status

    return started


def info(run):
    return runs.read_json(run / "run.json")
