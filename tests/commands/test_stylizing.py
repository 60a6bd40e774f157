"""The command stylize, on files that people have."""

import numpy as np
import pytest
import torch
from PIL import Image

from gan_lab.common.errors import UserError
from gan_lab.evaluate import evaluate
from gan_lab.evaluation.features.maps import ColourMaps, general, vgg19
from gan_lab.inference.styling import StyleTransfer
from gan_lab.stylize import stylize
from gan_lab.train import train

QUICK = ["size=24", "steps=2", "device=cpu"]


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture
def files(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.fromarray(noise(20, 30)).save(photos / "a.png")
    Image.fromarray(noise(20, 30)).convert("L").save(photos / "grey.png")
    alpha = Image.fromarray(noise(40, 40)).convert("RGBA")
    alpha.putalpha(Image.new("L", alpha.size, 99))
    alpha.save(photos / "alpha.png")
    Image.fromarray(noise(1, 1)).save(photos / "one.png")
    (photos / "broken.png").write_bytes(b"no image")
    Image.fromarray(noise(16, 16, 1)).save(tmp_path / "style,1.png")
    Image.fromarray(noise(16, 16, 2)).save(tmp_path / "b.png")
    for name, value in (("black", 0), ("white", 255)):
        Image.new("L", (30, 20), value).save(tmp_path / f"{name}.png")
    return tmp_path


def run(files, *more, style="b.png", content="photos"):
    stylize.run(f"content={files / content}", f"style={files / style}", f"output={files / 'out'}", *QUICK, *more)


def test_a_folder_is_stylised_and_odd_files_are_told(files, capsys):
    run(files, "strip=true")
    said = capsys.readouterr().out
    assert "s for an image" in said and "left out broken.png: no image" in said and "Stylised 4 of 5" in said
    with Image.open(files / "out" / "a.png") as image:
        assert image.size == (24, 16) and np.asarray(image).std() > 0
    with Image.open(files / "out" / "alpha.png") as image:
        assert image.mode == "RGBA" and image.size == (24, 24) and set(np.asarray(image)[..., 3].ravel()) == {99}
    with Image.open(files / "out" / "a.png.steps.png") as strip:
        assert strip.width > 3 * 256 and strip.height > 100
    run(files)
    assert "Stylised 0 of 5 images" in capsys.readouterr().out


def test_several_styles_and_names_with_commas(files):
    run(files, "overwrite=true", style="style,1.png", content="photos/a.png")
    (files / "c.png").write_bytes((files / "style,1.png").read_bytes())
    one = (files / "out" / "a.png").read_bytes()
    run(files, "overwrite=true", "weights=[2,1]", style=f"b.png,{files / 'c.png'}", content="photos/a.png")
    assert (files / "out" / "a.png").read_bytes() != one


def test_a_mask_gives_each_style_its_place(files):
    mask = Image.new("L", (30, 20))
    mask.paste(255, (0, 0, 15, 20))
    mask.save(files / "mask.png")
    (files / "c.png").write_bytes((files / "style,1.png").read_bytes())
    run(files, f"mask={files / 'mask.png'}", style=f"b.png,{files / 'c.png'}", content="photos/a.png")
    assert (files / "out" / "a.png").is_file()


def test_masks_of_another_shape_and_results_that_are_too_large_are_told(files, monkeypatch):
    Image.new("L", (10, 90), 255).save(files / "tall.png")
    with pytest.raises(UserError, match=r"a.png \(its masks have 10×90 px, which is another shape than 24×16\)"):
        run(files, f"mask={files / 'tall.png'}", content="photos/a.png")
    monkeypatch.setattr(StyleTransfer, "largest", 100)
    with pytest.raises(UserError, match="take too much memory"):
        run(files, "overwrite=true", content="photos/a.png")


def test_a_network_of_ones_own(files):
    run(
        files, "features=own", "features._target_=gan_lab.networks.random_filters.RandomFilters", content="photos/a.png"
    )
    assert (files / "out" / "a.png").is_file()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["style=nothing.png"], "There is no picture nothing.png"),
        (["style=photos/broken.png"], "cannot be read as an image"),
        (["content=nothing"], "content=nothing"),
        (["mask=b.png,b.png"], "There are 2 masks and 1 style"),
        (["mask=black.png"], "A mask is black"),
        (["mask=white.png", "style=b.png,b.png"], "leave no place for the last style"),
        (["weights=[1,2]"], "There are 2 weights and 1 style"),
        (["features=vgg19", "features.taps=[99]"], "give ascending numbers from 0 to 36"),
        (["keep_colour=maybe"], "keep_colour=maybe is not valid"),
        (["steps=0"], "steps=0 is not valid"),
        (["features=vgg19", "features.weights=nothing.pth"], "There is no nothing.pth"),
        (["features.taps=[3,1]"], "give ascending stages from 0 to 5"),
    ],
)
def test_wrong_requests_are_one_sentence(files, monkeypatch, more, said):
    monkeypatch.chdir(files)
    with pytest.raises(UserError, match=said):
        stylize.run("content=photos", "style=b.png", "output=out", *QUICK, *more)
    assert not (files / "out").exists()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Models of any style and of one, trained for a moment."""
    folder = tmp_path_factory.mktemp("runs")
    short = ["data=fake_unpaired", "data.size=16", "batch_size=4", "budget.images=8", "trainer=cpu", "encoder=random"]
    short += ["encoder.network.filters=4", "logger=none", "callbacks.fidelity=null"]
    filters = {
        "adain": ["model.decoder.filters=4", "encoder.widths=[4,4,4,4,4]"],
        "fast_style": ["generator.filters=4"],
    }
    for name, keys in filters.items():
        train.run(f"model={name}", *keys, f"run_dir={folder / name}", *short)
        assert (folder / name / "samples.png").is_file()
    return folder


def test_trained_models_give_styles(runs, files, capsys):
    trained = ["size=24", "device=cpu", "overwrite=true"]
    one = [f"checkpoint={runs / 'fast_style'}", f"content={files / 'photos'}", f"output={files / 'one'}"]
    stylize.run(*one, *trained)
    assert "Stylised 4 of 5" in capsys.readouterr().out
    any_style = [f"checkpoint={runs / 'adain'}", f"content={files / 'photos' / 'a.png'}", f"style={files / 'b.png'}"]
    made = []
    for strength in (1.0, 0.3):
        stylize.run(*any_style, f"output={files / 'any'}", f"strength={strength}", *trained)
        made.append((files / "any" / "a.png").read_bytes())
    assert made[0] != made[1]
    evaluate.run(
        f"checkpoint={runs / 'adain'}", "n=2", "metrics=stylisation", f"output={files / 'figures'}", "device=cpu"
    )
    assert "content_lost" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "more", "said"),
    [
        ("adain", [], "takes the style of any picture: give style="),
        ("adain", ["style=b.png", "steps=3"], "A trained model optimises nothing: leave out steps="),
        ("fast_style", ["style=b.png"], "has learnt its style: leave out style="),
        ("fast_style", ["mask=white.png"], "has learnt its style: leave out mask="),
        ("fast_style", ["weights=[1,2]"], "has learnt its style: leave out weights="),
        ("fast_style", ["strength=0"], "strength=0 is not valid"),
    ],
)
def test_what_a_model_does_not_take_is_refused(runs, files, monkeypatch, name, more, said):
    monkeypatch.chdir(files)
    with pytest.raises(UserError, match=said):
        stylize.run(f"checkpoint={runs / name}", "content=photos", "output=out", "device=cpu", *more)
    assert not (files / "out").exists()


def test_strength_needs_a_trained_model_and_a_style_is_needed(files, monkeypatch):
    monkeypatch.chdir(files)
    with pytest.raises(UserError, match="Only a trained model has a strength"):
        stylize.run("content=photos", "style=b.png", "strength=0.5", *QUICK)
    with pytest.raises(UserError, match="There is no style picture: give style="):
        stylize.run("content=photos", *QUICK)


def test_networks_give_maps_from_fine_to_coarse(tmp_path):
    for network in (general(), ColourMaps()):
        maps = network(torch.zeros(1, 3, 40, 56))
        widths = [each.shape[-1] for each in maps]
        assert len(maps) >= 3 and widths == sorted(widths, reverse=True)
        assert not any(parameter.requires_grad for parameter in network.parameters())
    torch.save({}, tmp_path / "vgg19-dcbb9e9d.pth")
    with pytest.raises(UserError, match=r"is not torchvision's vgg19"):
        vgg19(str(tmp_path / "vgg19-dcbb9e9d.pth"))
