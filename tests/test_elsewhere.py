"""Every module can be imported, and a run be trained and reported, where the system lacks what Windows lacks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SCRIPT = """
import importlib, pkgutil
import gan_lab
from gan_lab.train import train
from gan_lab.evaluation.reports.collection import report

for each in pkgutil.walk_packages(gan_lab.__path__, "gan_lab."):
    importlib.import_module(each.name)
from gan_lab.common.runs import os
assert not hasattr(os, "fork") and not hasattr(os, "killpg")
print("imported")
train.run("data=digits", "data.size=16", "model.generator.base=4", "model.discriminator.base=4", "budget.images=128",
          "trainer=cpu", "callbacks.fidelity=null", "run_dir=run")
report(["run"])
"""


def run(*command, folder):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run([sys.executable, str(HERE / "elsewhere.py"), *map(str, command)], cwd=folder, env=environment,
                          capture_output=True, text=True, timeout=300)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_module_is_imported_and_a_run_trained_and_reported(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    assert run(tmp_path / "script.py", folder=tmp_path).startswith("imported\n")
    assert "finished" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.parametrize("command", ["train", "report"])
def test_help_is_shown(command, tmp_path):
    assert "usage: " in run("-m", f"gan_lab.{command}", "--help", folder=tmp_path)
