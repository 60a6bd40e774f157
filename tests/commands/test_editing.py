"""The command edit, with a model with styles and one with latents."""

import json
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image

import gan_lab
from gan_lab.cli.edit_recipes import EditRecipe
from gan_lab.common.errors import UserError
from gan_lab.common.images import to_uint8
from gan_lab.edit import edit
from gan_lab.inference.directions import Directions
from gan_lab.train import train


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Models of images of 16 px, trained for a moment."""
    folder = tmp_path_factory.mktemp("runs")
    short = ["data=fake", "data.channels=3", "data.size=16", "batch_size=4", "budget.images=8", "trainer=cpu"]
    short += ["logger=none", "callbacks.fidelity=null", "callbacks.samples=null"]
    narrow = [f"model.generator.{key}" for key in ("base=64", "most=8", "style=6", "mapping_layers=1")]
    train.run("model=stylegan2", *narrow, "model.prior.dim=4", f"run_dir={folder / 'styles'}", *short)
    train.run("model=vae", "model.prior.dim=3", "data.classes=3", f"run_dir={folder / 'vae'}", *short)
    return folder


@pytest.fixture(scope="module")
def directions(runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("directions")
    edit.run(f"checkpoint={runs / 'styles'}", "do=directions", f"output={folder}", "count=3", "samples=2", "device=cpu")
    return folder / "directions.safetensors"


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "a.png")
    Image.fromarray(pixels[:16, :16]).convert("L").save(folder / "b.png")
    (folder / "broken.png").write_bytes(b"no image")
    return folder


def run(runs, photos, output, *more, model="styles", steps=True):
    quick = ["device=cpu", *(["steps=4"] if steps else [])]
    edit.run(f"checkpoint={runs / model}", f"input={photos}", f"output={output}", *quick, *more)


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix == ".png"}


def test_directions_are_those_of_the_styles_maps(directions):
    found = Directions.load(directions)
    assert (found.space, found.method, len(found.vectors)) == ("w", "sefa", 3) and found.vectors.shape[1] == 6
    with Image.open(directions.with_name("directions.png")) as sheet:
        assert sheet.width > 7 * 16 and sheet.height > 6 * 16
        margin = np.asarray(sheet.convert("L"))[:, : sheet.width - 7 * 18 - 2]
        assert margin.min() < 100, "each row has the name of its direction"


def test_a_direction_leads_from_one_folder_to_another(runs, directions, tmp_path, capsys):
    random = np.random.default_rng(0)
    for name, shade in (("dark", 40), ("light", 200)):
        (tmp_path / name).mkdir()
        for number in range(6):
            pixels = random.integers(shade - 30, shade + 30, (16, 16, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    folders = [f"a={tmp_path / 'dark'}", f"b={tmp_path / 'light'}"]
    find = [f"checkpoint={runs / 'styles'}", "do=directions", "device=cpu", "samples=1"]
    edit.run(*find, *folders, f"output={tmp_path / 'one'}")
    assert "explain these shares of each attribute's variance: light" in capsys.readouterr().out
    found = Directions.load(tmp_path / "one" / "directions.safetensors")
    assert found.names == ["light"] and found.method == "regression"
    edit.run(
        *find, *folders, "name=brighter", "method=mean", f"orthogonal_to={directions}", f"output={tmp_path / 'two'}"
    )
    other = Directions.load(tmp_path / "two" / "directions.safetensors")
    assert other.names == ["brighter"]
    assert (Directions.load(directions).vectors @ other.vectors[0]).abs().max() < 1e-4
    for words, wrong in (
        ("give both a= and b=", folders[:1]),
        ("needs examples: give examples=", ["method=svm"]),
        ("needs no examples", [*folders, "method=pca"]),
    ):
        with pytest.raises(UserError, match=words):
            edit.run(*find, *wrong, f"output={tmp_path / 'three'}")
    assert not (tmp_path / "three").exists()


def test_directions_of_several_attributes_come_with_their_leaks(runs, tmp_path):
    random = np.random.default_rng(0)
    rows = ["file,bright,red"]
    for number in range(24):
        bright, red = number % 2, number // 2 % 2
        pixels = random.integers(0, 60, (16, 16, 3)) + 100 * bright + np.array([90, 0, 0]) * red
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / f"{number}.png")
        rows.append(f"{number}.png,{bright},{red}")
    (tmp_path / "table.csv").write_text("\n".join(rows))
    find = [f"checkpoint={runs / 'vae'}", "do=directions", "device=cpu", "samples=2"]
    edit.run(*find, f"examples={tmp_path / 'table.csv'}", f"output={tmp_path / 'out'}")
    found = Directions.load(tmp_path / "out" / "directions.safetensors")
    assert found.names == ["bright", "red", "bright only", "red only"] and found.space == "z"
    table = json.loads((tmp_path / "out" / "leaks.json").read_text())
    assert [*table] == found.names and all(row.keys() == {"bright", "red"} for row in table.values())
    page = (tmp_path / "out" / "directions.html").read_text()
    assert page.count('type="range"') == 4 and page.count("data:image/webp") == 4 and "<h2>Leaks</h2>" in page
    edit.run(*find, "labels=true", "method=mean", f"output={tmp_path / 'labels'}")
    classes = Directions.load(tmp_path / "labels" / "directions.safetensors").names
    assert classes == ["0", "1", "2", "0 only", "1 only", "2 only"]
    with pytest.raises(UserError, match="have no labels"):
        edit.run(f"checkpoint={runs / 'styles'}", *find[1:], "labels=true", f"output={tmp_path / 'no'}")
    with pytest.raises(UserError, match="one thing at a time"):
        edit.run(*find, f"examples={tmp_path / 'table.csv'}", f"a={tmp_path}", f"output={tmp_path / 'no'}")


def test_a_folder_is_edited_and_its_recipe_repeats_it(runs, photos, directions, tmp_path, capsys):
    move = ["do=move", f"directions={directions}", "direction=sefa1", "strength=3", "layers=0-2"]
    run(runs, photos, tmp_path / "one", *move, "tune=3")
    said = capsys.readouterr().out
    assert "left out broken.png" in said and "Edited 2 of 3 images" in said
    figures = json.loads((tmp_path / "one" / "edits.json").read_text())["inversions"]
    assert (
        figures.keys() == {"a.png", "b.png"} and {"psnr", "ssim", "pd_colour", "from_prior"} <= figures["a.png"].keys()
    )
    recipe = tmp_path / "one" / "edit.yaml"
    assert [name for name, _ in EditRecipe.read(recipe).steps] == ["invert", "tune", "move"]
    run(runs, photos, tmp_path / "two", f"do={recipe}", steps=False)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    (tmp_path / "two" / "a.png").unlink()  # as if it had been interrupted: figures of what is done are kept aside
    kept = {"b.png": json.loads((tmp_path / "two" / "edits.json").read_text())["inversions"]["b.png"]}
    (tmp_path / "two" / ".edits.7.json").write_text(json.dumps(kept))
    (tmp_path / "two" / "edits.json").unlink()
    capsys.readouterr()
    run(runs, photos, tmp_path / "two", f"do={recipe}", steps=False)
    assert "Edited 1 of 3 images" in capsys.readouterr().out
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert json.loads((tmp_path / "two" / "edits.json").read_text())["inversions"] == figures
    assert not [*(tmp_path / "two").glob(".edits*")]


def test_an_edit_of_no_strength_is_the_inversion(runs, photos, directions, tmp_path):
    run(runs, photos, tmp_path / "inverted", "paste=false")
    none = ["do=move", f"directions={directions}", "paste=false"]
    run(runs, photos, tmp_path / "none", *none, "strength=0")
    run(runs, photos, tmp_path / "some", *none, "strength=5")
    assert contents(tmp_path / "inverted") == contents(tmp_path / "none") != contents(tmp_path / "some")
    with Image.open(tmp_path / "none" / "a.png") as image:
        assert image.size == (16, 16)


def test_only_the_box_changes(runs, photos, tmp_path):
    run(runs, photos / "a.png", tmp_path / "a.png", "box=4,6,24,26")
    before, after = (np.asarray(Image.open(path)) for path in (photos / "a.png", tmp_path / "a.png"))
    changed = (before != after).any(2)
    assert changed[6:26, 4:24].mean() > 0.5
    changed[6:26, 4:24] = False
    assert before.shape == after.shape and not changed.any()


@pytest.mark.parametrize(
    "do", [["do=truncate", "truncation=0.5"], ["do=drag", "points=8,8:8,12"]], ids=lambda do: do[0]
)
def test_codes_are_changed_in_other_ways(runs, photos, tmp_path, do):
    run(runs, photos / "b.png", tmp_path / "plain", "paste=false", "noise=1")
    run(runs, photos / "b.png", tmp_path / "changed", "paste=false", "noise=1", *do)
    assert contents(tmp_path / "plain") != contents(tmp_path / "changed")


def test_an_edit_stays_within_its_region(runs, photos, directions, tmp_path):
    picture = tmp_path / "mask.png"
    Image.fromarray(np.uint8([[0] * 8 + [255] * 8] * 16)).save(picture)
    move = ["do=move", f"directions={directions}", "strength=4"]
    for name, region in (("box", "region=8,0,16,16"), ("picture", f"region={picture}")):
        run(runs, photos / "b.png", tmp_path / name, *move, region)
        before, after = (
            np.asarray(Image.open(path).convert("RGB")) for path in (photos / "b.png", tmp_path / name / "b.png")
        )
        changed = (before != after).any(2)
        assert not changed[:, :8].any() and changed[:, 8:].mean() > 0.5
    assert contents(tmp_path / "box") == contents(tmp_path / "picture")
    run(runs, photos / "b.png", tmp_path / "again", f"do={tmp_path / 'picture' / 'edit.yaml'}", steps=False)
    assert contents(tmp_path / "again") == contents(tmp_path / "box")
    Image.new("L", (16, 16)).save(picture)
    with pytest.raises(UserError, match="has changed since the recipe was written"):
        run(runs, photos / "b.png", tmp_path / "not", f"do={tmp_path / 'picture' / 'edit.yaml'}", steps=False)


def test_nothing_changes_around_the_region_of_a_large_photograph(runs, directions, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "large.png")
    run(runs, tmp_path / "large.png", tmp_path / "out", "region=8,0,16,16")
    changed = (np.asarray(Image.open(tmp_path / "out" / "large.png")) != pixels).any(2)
    assert not changed[:, :30].any() and changed[:, 36:].mean() > 0.9


def test_a_region_is_taken_from_another_image(runs, photos, tmp_path):
    swap = ["do=swap", f"other={photos / 'b.png'}", "paste=false", "reduction=1"]
    run(runs, photos / "a.png", tmp_path / "own", "paste=false")
    run(runs, photos / "b.png", tmp_path / "other", "paste=false")
    run(runs, photos / "a.png", tmp_path / "swapped", *swap, "region=0,0,8,16", "frames=3")
    own, other, found = (np.asarray(Image.open(tmp_path / name)).astype(int)
                         for name in ("own/a.png", "other/b.png", "swapped/a.png"))  # fmt: skip
    assert np.abs(found - other)[:, :8].max() <= 1  # around the region only what filters carry across its border
    assert np.abs(found - own)[:, 8:].mean() < np.abs(found - other)[:, 8:].mean() / 4
    before, after = (json.loads((tmp_path / name / "edits.json").read_text()) for name in ("own", "swapped"))
    assert before["inversions"] == after["inversions"]  # figures are those of the inversion
    row = np.asarray(Image.open(tmp_path / "swapped" / "a.png.frames.png")).astype(int)
    scale = (row.shape[0] - 4) // 16
    frames = [row[2 : 2 + 16 * scale, at : at + 8 * scale] for at in (2, 4 + 16 * scale, 6 + 32 * scale)]
    steps = [np.abs(b - a).mean() for a, b in pairwise(frames)]
    assert 0.3 < steps[0] / steps[1] < 3  # half of the way in the middle
    for words, wrong in (("needs other=", ["region=0,0,8,8"]), ("needs region=", swap[1:2]),
                         ("There is no region=here", [*swap[1:2], "region=here"])):  # fmt: skip
        with pytest.raises(UserError, match=words):
            run(runs, photos / "a.png", tmp_path / "none", "do=swap", *wrong)
    assert not (tmp_path / "none").exists()


def test_the_frames_lead_from_the_inversion_to_the_edit(runs, photos, directions, tmp_path):
    move = ["do=move", f"directions={directions}", "strength=4", "frames=3", "paste=false"]
    run(runs, photos / "b.png", tmp_path / "moved", *move)
    run(runs, photos / "b.png", tmp_path / "plain", "paste=false")
    row = np.asarray(Image.open(tmp_path / "moved" / "b.png.frames.png"))
    scale = (row.shape[0] - 4) // 16
    first, last = (
        row[2 : 2 + 16 * scale : scale, at : at + 16 * scale : scale] for at in (2, row.shape[1] - 2 - 16 * scale)
    )
    assert np.array_equal(first, np.asarray(Image.open(tmp_path / "plain" / "b.png")))
    assert np.array_equal(last, np.asarray(Image.open(tmp_path / "moved" / "b.png")))


def test_a_result_is_restored(runs, photos, tmp_path_factory, tmp_path):
    folder = tmp_path_factory.mktemp("restorer")
    train.run("model=srresnet", "model.network.blocks=1", "model.network.maps=8", "data.count=24", "data.test_count=4",
              "data.size=16", "batch_size=4", "budget.images=4", "trainer=cpu", "logger=none",
              "callbacks.fidelity=null", "callbacks.samples=null", f"run_dir={folder}")  # fmt: skip
    run(runs, photos / "b.png", tmp_path / "out", f"restore={folder / 'last.ckpt'}", "paste=false")
    with Image.open(tmp_path / "out" / "b.png") as image:
        assert image.size == (32, 32)
    assert [name for name, _ in EditRecipe.read(tmp_path / "out" / "edit.yaml").steps] == ["invert", "restore"]
    for words, wrong in (("There is no restore=", "none.ckpt"), ("restores nothing", runs / "vae" / "last.ckpt")):
        with pytest.raises(UserError, match=words):
            run(runs, photos / "b.png", tmp_path / "no", f"restore={wrong}")


def test_images_are_mixed(runs, photos, tmp_path):
    mix = ["paste=false", "do=mix", f"other={photos / 'b.png'}"]
    run(runs, photos / "a.png", tmp_path / "all", *mix)
    run(runs, photos / "b.png", tmp_path / "other", "paste=false")
    assert contents(tmp_path / "all")["a.png"] == contents(tmp_path / "other")["b.png"]
    for name, more in (("half", ["amount=0.5"]), ("some", ["layers=3-5"]), ("mean", [f"other={photos}"])):
        run(runs, photos / "a.png", tmp_path / name, *mix, *more)
        assert contents(tmp_path / name) != contents(tmp_path / "all")
    for words, wrong in (("Only latents lie on a sphere", ["interpolation=spherical"]),
                         ("layers 0 to 5", ["layers=4-9"])):  # fmt: skip
        with pytest.raises(UserError, match=words):
            run(runs, photos / "a.png", tmp_path / "none", *mix, *wrong)
    assert not (tmp_path / "none").exists()
    run(runs, photos / "a.png", tmp_path / "sphere", *mix, "interpolation=spherical", model="vae")
    with pytest.raises(UserError, match="Mixing needs other="):
        run(runs, photos, tmp_path / "none", "do=mix")


def test_latents_are_edited_too(runs, photos, tmp_path):
    edit.run(f"checkpoint={runs / 'vae'}", "do=directions", f"output={tmp_path}", "device=cpu", "samples=1")
    file = tmp_path / "directions.safetensors"
    assert Directions.load(file).space == "z"
    run(runs, photos, tmp_path / "out", "do=move", f"directions={file}", model="vae")
    assert len(contents(tmp_path / "out")) == 2
    with pytest.raises(UserError, match="has no styles"):
        run(runs, photos, tmp_path / "other", "space=w", model="vae")
    with pytest.raises(UserError, match="directions of another model"):
        run(runs, photos, tmp_path / "other", "do=move", f"directions={file}")
    assert not (tmp_path / "other").exists()


def test_recipes_are_checked(runs, photos, directions, tmp_path):
    good = ("invert", {"steps": 2})
    moved = {"directions": str(directions), "direction": 0, "strength": 1.0}
    for steps, words in (
        ([good, ("paint", {})], "no step paint: recipes have invert, tune, move"),
        ([("invert", {"step": 2})], "no key invert.step"),
        ([("invert", {"steps": -1})], "invert.steps=-1 is not valid"),
        ([("invert", {"steps": 0})], "steps=0 takes codes from the model's own encoder"),
        ([good, ("move", {"strength": 1.0})], "The step move lacks directions and direction"),
        ([("truncate", {"psi": 0.5})], "begin the steps with invert"),
        ([good, ("move", {**moved, "digest": "0"})], "has changed since"),
        ([good, ("drag", {"points": [[1, 1, 2, 2]], "movable": [9, 9, 3, 3]})], "movable=9,9,3,3 does not lie"),
        ([], "has no steps"),
    ):
        plain = {"seed": 0, "steps": [{name: values} for name, values in steps]}
        (tmp_path / "recipe.yaml").write_text(json.dumps(plain))
        with pytest.raises(UserError, match=words):
            run(runs, photos, tmp_path / "out", f"do={tmp_path / 'recipe.yaml'}", steps=False)
    for plain, words in (
        ({"fingerprint": "abc", "steps": [{"invert": {}}]}, "one of another model"),
        ({"space": "W++", "steps": [{"invert": {}}]}, "recipe.space=W\\+\\+ is not valid"),
        ({"seed": -1, "steps": [{"invert": {}}]}, "recipe.seed=-1 is not valid"),
        ({"steps": ["invert"]}, "is no recipe of an edit"),
        ({"steps": 3}, "is no recipe of an edit"),
    ):
        (tmp_path / "recipe.yaml").write_text(json.dumps(plain))
        with pytest.raises(UserError, match=words):
            run(runs, photos, tmp_path / "out", f"do={tmp_path / 'recipe.yaml'}", steps=False)


def test_without_steps_a_models_own_encoder_inverts(runs, photos, tmp_path):
    run(runs, photos, tmp_path / "out", "steps=0", "paste=false", model="vae", steps=False)
    vae, pixels = gan_lab.load(runs / "vae"), np.asarray(Image.open(photos / "b.png").convert("RGB"))
    image = torch.tensor(pixels).permute(2, 0, 1)[None] / 127.5 - 1
    expected = to_uint8(vae.reconstruct(image))[0].permute(1, 2, 0)
    found = np.asarray(Image.open(tmp_path / "out" / "b.png"))
    assert np.abs(expected.numpy().astype(int) - found).max() <= 1
    with pytest.raises(UserError, match="and it has none of space=w"):
        run(runs, photos, tmp_path / "other", "steps=0", steps=False)
    assert not (tmp_path / "other").exists()


def test_keys_that_are_not_read_are_refused(runs, photos, directions, tmp_path):
    for wrong in (["do=invert", "strength=5"], ["do=truncate", f"directions={directions}"], ["orthogonal_to=x"]):
        with pytest.raises(UserError, match="does not read"):
            run(runs, photos, tmp_path / "out", *wrong)


def test_results_of_another_edit_are_not_mixed_with_new_ones(runs, photos, tmp_path):
    run(runs, photos, tmp_path / "out", "tune=2")
    assert (tmp_path / "out" / "a.png.weights.safetensors").exists()
    (tmp_path / "out" / "a.png").unlink()
    run(runs, photos, tmp_path / "out", "tune=2")
    assert json.loads((tmp_path / "out" / "edits.json").read_text())["inversions"].keys() == {"a.png", "b.png"}
    with pytest.raises(UserError, match="results of another edit: give another folder, or overwrite=true"):
        run(runs, photos, tmp_path / "out", "do=truncate")
    run(runs, photos, tmp_path / "out", "do=truncate", "overwrite=true")
    assert not (tmp_path / "out" / "a.png.weights.safetensors").exists()


def test_an_image_that_has_no_such_box_is_left_out(runs, photos, tmp_path, capsys):
    run(runs, photos, tmp_path / "out", "box=20,10,36,26")
    assert "left out b.png: box=20,10,36,26 does not lie in an image of 16×16 px" in capsys.readouterr().out
    run(runs, photos, tmp_path / "again", f"do={tmp_path / 'out' / 'edit.yaml'}", steps=False)
    assert contents(tmp_path / "out") == contents(tmp_path / "again")


def test_directions_belong_to_a_space(runs, photos, tmp_path):
    edit.run(
        f"checkpoint={runs / 'styles'}", "do=directions", "space=z", f"output={tmp_path}", "device=cpu", "samples=1"
    )
    file = tmp_path / "directions.safetensors"
    assert Directions.load(file).method == "pca"  # no layer reads z as it is
    with pytest.raises(UserError, match=r"directions of space=z, not of w\+"):
        run(runs, photos, tmp_path / "out", "do=move", f"directions={file}")
