"""A wheel, built, installed elsewhere and run from the root folder."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def run(*command, **options):
    result = subprocess.run(command, capture_output=True, text=True, **options)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_wheel(tmp_path):
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), cwd=ROOT)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "gan_lab/py.typed",
        "gan_lab/conf/train.yaml",
        "gan_lab/evaluation/features/weights/grey.safetensors",
        "gan_lab/evaluation/features/weights/lpips.safetensors",
        "gan_lab/evaluation/features/weights/lpips.LICENSE.txt",
        "gan_lab/evaluation/features/weights/general.LICENSE.txt",
        "gan_lab/inference/weights/denoise.safetensors",
    } <= names
    assert any(name.startswith("gan_lab/experiments/recipe/") for name in names)
    assert not any(name.startswith(("tests/", "experiments/", "conf/")) for name in names)
    site = tmp_path / "site"
    run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel))
    environment = {**os.environ, "PYTHONPATH": str(site)}
    tiny = ["data.size=8", "model.generator.base=4", "model.discriminator.base=4", "debug=smoke"]
    run(sys.executable, "-m", "gan_lab.train", *tiny, f"run_dir={tmp_path}/run", cwd="/", env=environment)
    script = [sys.executable, str(site / "bin" / "gan-lab"), "sample"]
    run(*script, f"checkpoint={tmp_path}/run", f"output={tmp_path}/x.png", cwd="/", env=environment)
    assert (tmp_path / "x.png").stat().st_size > 500
    few = ["n=64", "metrics=quick", f"output={tmp_path}/figures"]
    run(sys.executable, "-m", "gan_lab.evaluate", f"checkpoint={tmp_path}/run", *few, cwd="/", env=environment)
    assert (tmp_path / "figures.html").stat().st_size > 5000
    plugins = """from importlib.metadata import entry_points
print(*(each.load().__name__ for each in entry_points(group="hydra.plugins") if each.name.startswith("gan_lab")))"""
    found = run(sys.executable, "-c", plugins, cwd="/", env=environment).split()
    assert sorted(found) == ["Experiments", "Search"]
    where = run(sys.executable, "-c", "import gan_lab; print(gan_lab.__file__)", cwd="/", env=environment)
    assert where.startswith(str(site))
