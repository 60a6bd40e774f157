"""The command restore, on files that people have."""

import re

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.io import ImageReadMode, decode_image

import gan_lab
from gan_lab.common.errors import UserError
from gan_lab.evaluate import evaluate
from gan_lab.inference.restoring import PhotoRestorer
from gan_lab.restore import restore
from gan_lab.train import train


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A denoiser and a network that enlarges, trained for a moment."""
    folder = tmp_path_factory.mktemp("runs")
    short = ["data.count=24", "data.test_count=4", "data.size=16", "batch_size=4", "budget.images=8", "trainer=cpu"]
    short += ["logger=none", "callbacks.fidelity=null", "callbacks.samples=null", "model.network.maps=8"]
    for name in ("denoise", "srresnet"):
        train.run(f"model={name}", "model.network.blocks=1", f"run_dir={folder / name}", *short)
    return folder


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (21, 33, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "a.png")
    Image.fromarray(pixels).convert("CMYK").save(folder / "cmyk.jpg")
    Image.fromarray(pixels[:1, :1]).save(folder / "one.png")
    Image.fromarray(pixels.astype(np.uint16)[..., 0] * 257).save(folder / "deep.png")
    alpha = Image.fromarray(pixels).convert("RGBA")
    alpha.putalpha(Image.new("L", alpha.size, 99))
    alpha.save(folder / "alpha.png")
    (folder / "broken.png").write_bytes(b"no image")
    (folder / "notes.txt").write_text("text")
    return folder


def run(runs, name, photos, output, *more):
    restore.run(f"checkpoint={runs / name}", f"input={photos}", f"output={output}", "device=cpu", *more)


@pytest.mark.parametrize(("name", "factor"), [("denoise", 1), ("srresnet", 2)])
def test_a_folder_with_odd_images_is_restored_and_each_is_told(runs, photos, tmp_path, capsys, name, factor):
    run(runs, name, photos, tmp_path / "out")
    said = capsys.readouterr().out
    assert "left out broken.png: no image" in said and "Restored 5 of 6 images" in said and ".txt" in said
    with Image.open(tmp_path / "out" / "a.png") as image:
        assert image.size == (33 * factor, 21 * factor)
    with Image.open(tmp_path / "out" / "alpha.png") as image:
        assert image.mode == "RGBA" and set(np.asarray(image)[..., 3].ravel()) == {99}
    with Image.open(tmp_path / "out" / "one.png") as image:
        assert image.size == (factor, factor)
    run(runs, name, photos, tmp_path / "out")
    assert "Restored 0 of 6 images" in capsys.readouterr().out


def test_a_page_compares_each_image_before_and_after(runs, photos, tmp_path):
    for _ in range(2):  # the second run restores nothing, and the page stays
        run(runs, "srresnet", photos, tmp_path / "out", "before_after=true")
        page = (tmp_path / "out" / "index.html").read_text()
        assert page.count('class="slider"') == 5 and page.count('type="range"') == 5 and "5 images, restored" in page
    for place in re.findall(r'src="([^"]+)"', page):
        assert (tmp_path / "out" / place).is_file()
    with pytest.raises(UserError, match="give a folder, not output="):
        run(runs, "denoise", photos / "a.png", tmp_path / "b.png", "before_after=true")


def test_sixteen_bits_stay_sixteen_bits(runs, photos, tmp_path, capsys):
    ramp = np.linspace(0, 65535, 40 * 30).astype(np.uint16).reshape(30, 40)
    Image.fromarray(ramp).save(photos / "deep.png")
    run(runs, "denoise", photos / "deep.png", tmp_path / "out.png")
    said = capsys.readouterr().out
    assert "converted from grey to RGB" in said and "16 bits" not in said
    found = decode_image(str(tmp_path / "out.png"), ImageReadMode.UNCHANGED).int()
    assert found.shape == (3, 30, 40) and len(found.unique()) > 1000
    with Image.open(photos / "deep.png") as image:
        eight = PhotoRestorer(gan_lab.load(runs / "denoise" / "last.ckpt"))(
            torch.from_numpy(((np.asarray(image) + 128.0) // 257).astype(np.uint8)).expand(3, -1, -1)
        )
    assert (found / 257 - eight).abs().max() < 2, "the same image as with 8 bits"


def test_one_image_and_a_python_call(runs, photos, tmp_path):
    run(runs, "denoise", photos / "a.png", tmp_path / "b.png")
    restorer = PhotoRestorer(gan_lab.load(runs / "denoise" / "last.ckpt"))
    pixels = torch.from_numpy(np.asarray(Image.open(photos / "a.png")).transpose(2, 0, 1).copy())
    assert np.array_equal(np.asarray(Image.open(tmp_path / "b.png")).transpose(2, 0, 1), restorer(pixels).numpy())


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["mask=1,2,3,4"], "fills nothing: leave out mask="),
        (["tile=0"], "tile=0 is not valid"),
        (["max_pixels=0"], "max_pixels=0 is not valid"),
    ],
)
def test_wrong_requests_are_one_sentence(runs, photos, tmp_path, more, said):
    with pytest.raises(UserError, match=said):
        run(runs, "denoise", photos, tmp_path / "out", *more)
    assert not (tmp_path / "out").exists()


def test_a_model_that_restores_nothing_is_refused(tmp_path, photos):
    short = ["data=fake", "data.size=16", "budget.images=4", "batch_size=4", "trainer=cpu", "logger=none"]
    train.run("model=gan", *short, "callbacks.fidelity=null", "callbacks.samples=null", f"run_dir={tmp_path / 'gan'}")
    with pytest.raises(UserError, match="cannot restore photographs"):
        run(tmp_path, "gan", photos, tmp_path / "out")


def test_a_checkpoint_is_evaluated_on_its_own_data(runs, tmp_path, capsys):
    keys = ["n=2", "metrics=restoration", "device=cpu", f"output={tmp_path / 'evaluation'}"]
    evaluate.run(f"checkpoint={runs / 'denoise'}", *keys)
    assert "psnr_damaged" in capsys.readouterr().out
