"""The restorers of the package: small, and better than what they are given."""

import math
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

import gan_lab
from gan_lab.common.errors import UserError
from gan_lab.data.damage.coding import Jpeg
from gan_lab.data.damage.draws import Draws
from gan_lab.data.damage.noise import GaussianNoise
from gan_lab.data.damage.resolution import Smaller
from gan_lab.inference.packaged import FOLDER, RestorerName, packaged
from gan_lab.inference.restoring import PhotoRestorer
from gan_lab.restore import restore

DAMAGES = {"denoise": GaussianNoise(25), "deartifact": Jpeg(15), "superres": Smaller(2)}
GAINS = {"denoise": 7.0, "deartifact": 0.5, "superres": 1.0}
"""dB on a photograph, at least."""


def scene():
    """A photograph of a cat, uint8 (3, 144, 216)."""
    with Image.open(Path(__file__).parents[2] / "docs" / "images" / "styles.jpg") as image:
        return np.asarray(image.crop((4, 202, 220, 346))).transpose(2, 0, 1).copy()


def psnr(a, b):
    return 10 * math.log10(255**2 / float(((a.astype(float) - b) ** 2).mean()))


@pytest.mark.parametrize("name", get_args(RestorerName))
def test_it_undoes_damage(name):
    clean, model = scene(), PhotoRestorer(gan_lab.load(packaged(name)))
    damaged = DAMAGES[name](clean, Draws(1)).pixels
    found = model(torch.from_numpy(damaged)).numpy()
    size = clean.shape[2], clean.shape[1]
    before = np.asarray(Image.fromarray(damaged.transpose(1, 2, 0)).resize(size, Image.Resampling.BICUBIC))
    assert psnr(found, clean) > psnr(before.transpose(2, 0, 1), clean) + GAINS[name]


def test_a_clean_image_stays_nearly_as_it_is():
    clean = scene()
    for name in ("denoise", "deartifact"):
        assert psnr(PhotoRestorer(gan_lab.load(packaged(name)))(torch.from_numpy(clean)).numpy(), clean) > 34


def test_all_take_two_megabytes_and_name_their_photographs():
    files = sorted(FOLDER.glob("*.safetensors"))
    assert [file.stem for file in files] == sorted(get_args(RestorerName))
    assert sum(file.stat().st_size for file in files) < 2e6
    for file in files:
        with safe_open(str(file), "pt") as header:
            assert "CC BY 4.0" in header.metadata()["photographs"]


def test_the_command_needs_no_checkpoint(tmp_path, capsys):
    Image.fromarray(scene().transpose(1, 2, 0)).save(tmp_path / "a.png")
    keys = [f"input={tmp_path / 'a.png'}", "device=cpu"]
    restore.run(*keys, f"output={tmp_path / 'clean'}")
    assert "With the restorer denoise of the package; restorer= has others" in capsys.readouterr().out
    restore.run(*keys, f"output={tmp_path / 'large'}", "restorer=superres", "before_after=true")
    assert "With the restorer superres" in capsys.readouterr().out
    with Image.open(tmp_path / "clean" / "a.png") as one, Image.open(tmp_path / "large" / "a.png") as other:
        assert one.size == (216, 144) and other.size == (432, 288)
    assert "the restorer superres of gan_lab" in (tmp_path / "large" / "index.html").read_text()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["restorer=denoise", "checkpoint=last.ckpt"], "do not go together"),
        (["restorer=sharpen"], "restorer=sharpen is not valid"),
        (["mask=1,2,3,4"], "The restorers of the package fill no pixels"),
    ],
)
def test_wrong_requests_are_one_sentence(tmp_path, more, said):
    Image.fromarray(scene().transpose(1, 2, 0)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match=said):
        restore.run(f"input={tmp_path / 'a.png'}", f"output={tmp_path / 'out'}", *more)
    assert not (tmp_path / "out").exists()
