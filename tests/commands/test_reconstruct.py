"""Given pictures made again and completed: of the data and of files, and what is refused."""

import sys
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from PIL import Image
from variational import SIDE, checkpoint

import gan_lab
from gan_lab.common.images import from_pil, to_float, to_uint8
from gan_lab.common.instantiate import instantiate
from gan_lab.inference.reconstruction import known_mask, rows_sheet
from gan_lab.reconstruct import reconstruct
from gan_lab.training.checkpoint import read

CELL = SIDE * 5 + 2


def call(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["gan_lab", *arguments])
    return reconstruct()


def refused(monkeypatch, capsys, *arguments):
    """The sentence that a wrong command ends with."""
    with pytest.raises(SystemExit) as end:
        call(monkeypatch, *arguments)
    assert end.value.code == 2
    (sentence,) = capsys.readouterr().err.strip().splitlines()[-1:]
    assert sentence.startswith("gan_lab: ") and sentence.endswith(".")
    return sentence


@pytest.fixture(scope="module")
def vae(tmp_path_factory):
    return checkpoint(tmp_path_factory.mktemp("vae") / "last.ckpt")


@pytest.fixture(scope="module")
def conditional(tmp_path_factory):
    return checkpoint(tmp_path_factory.mktemp("cvae") / "last.ckpt", classes=10)


@pytest.fixture
def pictures():
    """Grey pictures that need no scaling, uint8 (3, 1, 12, 12)."""
    return torch.randint(256, (3, 1, SIDE, SIDE), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def saved(folder, pictures):
    folder.mkdir()
    for number, picture in enumerate(pictures):
        Image.fromarray(picture[0].numpy()).save(folder / f"{number}.png")
    return folder


def written(folder, n):
    return torch.stack([from_pil(Image.open(folder / f"{number:06d}.png")) for number in range(n)])


def test_pictures_of_the_data(vae, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    call(monkeypatch, f"checkpoint={vae}", "n=5", "columns=4", "single=true", "batch_size=2")
    said = capsys.readouterr().out
    assert "Reconstructed 5 images: MSE 0." in said and " dB, SSIM " in said
    assert [path.name for path in tmp_path.iterdir()] == ["reconstructions"]
    assert {path.name for path in (tmp_path / "reconstructions").iterdir()} == {
        "sheet.png",
        *(f"{number:06d}.png" for number in range(5)),
    }
    assert Image.open("reconstructions/sheet.png").size == (4 * CELL + 2, 6 * CELL + 2), "two blocks of three rows"
    data = instantiate(read(vae)["gan_lab"]["data"])
    data.setup("test")
    chosen = torch.cat([*data.images("test")])[torch.arange(1, 6) * data.count("test") // 5 - 1]
    torch.testing.assert_close(
        written(tmp_path / "reconstructions", 5), to_uint8(gan_lab.load(vae).reconstruct(to_float(chosen)))
    )


def test_a_sheet_has_blocks_whose_short_rows_end_in_white():
    rows = [torch.full((3, 1, 64, 64), value) for value in (-1.0, 0.0)]
    cells = rows_sheet(rows, 2)[0, 2:, 2:].unfold(0, 64, 66).unfold(1, 64, 66)[..., 0, 0]
    assert cells.tolist() == [[0, 0], [128, 128], [0, 255], [128, 255]]


def test_pictures_of_files(vae, pictures, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folder = saved(tmp_path / "in, (1)", pictures)
    (folder / "empty.png").touch()
    with ZipFile("in.zip", "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, path.name)
    expected = to_uint8(gan_lab.load(vae).reconstruct(to_float(pictures)))
    for source, output in ((folder, folder / "out"), (folder, folder / "out"), ("in.zip", tmp_path / "zip")):
        call(monkeypatch, f"checkpoint={vae}", f"input={source}", f"output={output}", "single=true")
        said = capsys.readouterr().out
        assert "left out empty.png: " in said and "Reconstructed 3 images" in said, "none of its own results"
        assert torch.equal(written(output, 3), expected)
    call(monkeypatch, f"checkpoint={vae}", f"input={folder}/1.png", "output=2024", "single=true")
    assert torch.equal(written(tmp_path / "2024", 1), expected[1:2])
    Image.new("RGB", (50, 30), (200, 30, 90)).save("wide.jpg")
    call(monkeypatch, f"checkpoint={vae}", "input=wide.jpg", "output=wide")
    assert Image.open("wide/sheet.png").size == (CELL + 2, 3 * CELL + 2)


def test_files_are_as_two_coloured_as_the_data(pictures, tmp_path, monkeypatch, capsys):
    path = checkpoint(tmp_path / "last.ckpt", binarize="static", binarize_seed=3)
    folder = saved(tmp_path / "in", pictures)
    call(monkeypatch, f"checkpoint={path}", f"input={folder}", f"output={tmp_path / 'out'}", "columns=3")
    assert "binary images" in capsys.readouterr().out
    originals = np.array(Image.open(tmp_path / "out" / "sheet.png"))[:CELL]
    assert set(np.unique(originals)) == {0, 255}


@pytest.mark.parametrize("value", ["maybe", "null", "1"])
def test_a_switch_is_on_or_off(vae, value, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    said = refused(monkeypatch, capsys, f"checkpoint={vae}", f"ema={value}")
    assert f"ema={value} is not valid: give true or false" in said


@pytest.mark.parametrize(
    ("hidden", "rows", "columns"),
    [("bottom", [2, 3, 4], [0, 1, 2, 3]), ("top", [0, 1], [0, 1, 2, 3]), ("left", [0, 1, 2, 3, 4], [0, 1]),
     ("right", [0, 1, 2, 3, 4], [2, 3]), ("center", [1, 2, 3], [1, 2])],
)  # fmt: skip
def test_what_is_hidden(hidden, rows, columns):
    known = known_mask(hidden, 5, 4)[0]
    assert (known.numel() - known.sum()) == len(rows) * len(columns) and not known[rows][:, columns].any()


def test_completions(vae, pictures, tmp_path, monkeypatch, capsys):
    folder, out = saved(tmp_path / "in", pictures), tmp_path / "out"
    keys = [f"checkpoint={vae}", f"input={folder}", f"output={out}", "hide=bottom", "samples=2", "single=true"]
    call(monkeypatch, *keys, "seed=7", "batch_size=2")
    assert "Completed 2 × 3 images with the bottom hidden: MSE 0." in capsys.readouterr().out
    assert Image.open(out / "sheet.png").size == (3 * CELL + 2, 4 * CELL + 2)
    given = np.array(Image.open(out / "sheet.png"))[CELL + 2 : 2 * CELL, 2:CELL]
    assert (given[SIDE // 2 * 5 :] == 128).all() and given[: SIDE // 2 * 5].std() > 10
    first, second = written(out, 6).chunk(2)
    half = SIDE // 2
    assert torch.equal(first[..., :half, :], pictures[..., :half, :])
    assert not torch.equal(first[..., half:, :], second[..., half:, :])
    mask = known_mask("bottom", SIDE, SIDE).expand(3, -1, -1, -1)
    again = to_uint8(gan_lab.load(vae).restore(to_float(pictures), mask, seed=8))
    torch.testing.assert_close(second, again, rtol=0, atol=1)


def test_walks_between_encodings(vae, pictures, tmp_path, monkeypatch):
    folder, out = saved(tmp_path / "in", pictures), tmp_path / "out"
    call(monkeypatch, f"checkpoint={vae}", f"input={folder}", f"output={out}", "interpolate=2", "steps=3")
    assert {path.name for path in out.iterdir()} == {"sheet.png", "interpolation.png", "interpolation.gif"}
    assert Image.open(out / "interpolation.gif").n_frames == 4
    strip, three = np.array(Image.open(out / "interpolation.png")), np.array(Image.open(out / "sheet.png"))
    assert np.array_equal(strip[2:CELL, 2:CELL], three[CELL + 2 : 2 * CELL, 2:CELL]), "begins at a reconstruction"


def test_labels_are_the_datas_own_or_what_is_asked_for(conditional, pictures, tmp_path, monkeypatch, capsys):
    data = instantiate(read(conditional)["gan_lab"]["data"])
    data.setup("test")
    rows = torch.arange(1, 5) * data.count("test") // 4 - 1
    images, labels = to_float(torch.cat([*data.images("test")])[rows]), data.labels("test")[rows]
    model = gan_lab.load(conditional)
    for name, key, label in (("own", [], labels), ("three", ["label=3"], 3)):
        keys = [f"checkpoint={conditional}", f"output={tmp_path / name}", "n=4", "single=true", "interpolate=3"]
        call(monkeypatch, *keys, *key)
        assert torch.equal(written(tmp_path / name, 4), to_uint8(model.reconstruct(images, label)))
    folder, zero = saved(tmp_path / "in", pictures), to_uint8(model.reconstruct(to_float(pictures), 0))
    call(monkeypatch, f"checkpoint={conditional}", f"input={folder}", f"output={tmp_path / 'files'}", "single=true")
    assert torch.equal(written(tmp_path / "files", 3), zero)
    assert "classes 0 to 9" in refused(monkeypatch, capsys, f"checkpoint={conditional}", "label=10")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["n=0"], "n=0"),
        (["hide=middle"], "bottom, top, left, right or center"),
        (["split=valid"], "test, train or whole"),
        (["interpolate=1"], "at least 2"),
        (["n=3", "interpolate=4"], "there are 3 images"),
        (["output=x.png"], "give a folder"),
        (["input=/nowhere"], "/nowhere does not exist"),
        (["label=3"], "without labels"),
        (["checkpoint=/nowhere.ckpt"], "/nowhere.ckpt"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_what_cannot_work_is_refused_in_a_sentence(arguments, said, vae, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert said in refused(monkeypatch, capsys, f"checkpoint={vae}", *arguments)
    assert not [*tmp_path.iterdir()]


def test_pictures_that_cannot_be_read(vae, tmp_path, monkeypatch, capsys):
    (tmp_path / "x.png").write_text("no picture")
    keys = [f"checkpoint={vae}", f"input={tmp_path / 'x.png'}", f"output={tmp_path / 'out'}"]
    assert "No image of input=" in refused(monkeypatch, capsys, *keys)


class Bare:
    """Does nothing."""

    classes = 0


class Sampling(Bare):
    def sample(self, n, seed=0, start=0, label=None, truncation=1.0): ...


class Translating(Bare):
    domains, directions, multiple = {}, (), 1

    def translator(self, to): ...

    def translate(self, image, to, seed=0, start=0): ...


class Restoring(Sampling):
    def restore(self, image, mask, label=None, seed=0, start=0): ...


class Reconstructing(Bare):
    def reconstruct(self, image, label=None): ...


@pytest.mark.parametrize(
    ("model", "arguments", "said"),
    [
        (Sampling, [], "neither encodes images nor completes them: try python -m gan_lab.sample"),
        (Translating, [], "python -m gan_lab.translate"),
        (Bare, [], "such as model=vae"),
        (Restoring, [], "give hide=bottom"),
        (Restoring, ["hide=bottom", "interpolate=2"], "leave out interpolate="),
        (Reconstructing, ["hide=bottom"], "leave out hide="),
        (Reconstructing, ["interpolate=2"], "leave out interpolate="),
    ],
)
def test_a_model_that_cannot_is_named_with_what_would_work(model, arguments, said, vae, monkeypatch, capsys):
    monkeypatch.setattr("gan_lab.training.checkpoint.model_of", lambda *arguments: model())
    assert said in refused(monkeypatch, capsys, f"checkpoint={vae}", *arguments)
