import numpy as np
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GAN_LAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def photo():
    """A smooth RGB image, 20 wide and 12 high."""
    x, y = np.meshgrid(np.arange(20) * 12, np.arange(12) * 20)
    return Image.fromarray(np.stack([x, y, 255 - x], -1).astype(np.uint8))


@pytest.fixture
def make_folder(tmp_path):
    """Writes PNG files of random pixels, 8 × 8, under the names given; equal names have equal pixels."""

    def make(names, name="images"):
        root = tmp_path / name
        for file in names:
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            rng = np.random.default_rng(list(str(file).encode()))
            Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(root / file)
        return root

    return make
