"""What is told of recorded runs is what their records say."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
WRITTEN = ("README.md", "experiments/README.md")


def test_the_tables_are_made_from_the_results(tmp_path):
    shutil.copytree(ROOT / "experiments", tmp_path / "experiments")
    shutil.copy(ROOT / "README.md", tmp_path)
    subprocess.run([sys.executable, tmp_path / "experiments" / "table.py"], check=True)
    for name in WRITTEN:
        assert (tmp_path / name).read_text() == (ROOT / name).read_text()
