import shutil

import pytest
from chromium import Browser
from run_folders import make, write


@pytest.fixture
def browser(tmp_path):
    assert shutil.which("chromium"), "make browser installs Chromium"
    return Browser(tmp_path)


@pytest.fixture
def run(tmp_path):
    return make(tmp_path / "runs" / "dcgan-digits" / "2026-11-22_08-00-00")


@pytest.fixture
def sweep(tmp_path):
    """Two methods, two seeds, and one job that failed before it began."""
    for number, (method, seed) in enumerate((m, s) for m in ("dcgan", "sngan") for s in (1, 2)):
        make(tmp_path / f"runs/{method}-digits/2026-11-22_08-00-0{number}", seed, method, 2.0 + number)
        job = {"job": number, "overrides": [f"model={method}", f"seed={seed}"], "state": "finished"}
        job["run"] = f"runs/{method}-digits/2026-11-22_08-00-0{number}"
        write(tmp_path / f"runs/sweeps/first/jobs/{number:04d}.json", job)
    failed = {"job": 4, "overrides": ["model=dcgan", "seed=x"], "state": "failed", "error": "no <seed>", "run": None}
    write(tmp_path / "runs/sweeps/first/jobs/0004.json", failed)
    return tmp_path / "runs/sweeps/first"
