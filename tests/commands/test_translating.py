"""Translating anybody's files: of any kind, broken ones among them, and what the user is told."""

import html
import os
import re
import shutil
import sys
import zipfile
from io import BytesIO
from urllib.parse import unquote, unquote_to_bytes

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from translators import checkpoint, node

import gan_lab
from gan_lab.common.domains import Domain
from gan_lab.common.errors import UserError
from gan_lab.common.images import to_float, to_uint8
from gan_lab.data.reading.images import read_image
from gan_lab.inference.file_jobs import plan
from gan_lab.translate import translate


def call(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["gan_lab", *arguments])
    return translate()


def refused(monkeypatch, capsys, *arguments):
    """The sentence that a wrong command ends with."""
    with pytest.raises(SystemExit) as end:
        call(monkeypatch, *arguments)
    assert end.value.code == 2
    sentence = capsys.readouterr().err.strip().splitlines()[-1]
    assert sentence.startswith("gan_lab: ") and sentence.endswith(".")
    return sentence


@pytest.fixture(scope="module")
def cyclegan(tmp_path_factory):
    return checkpoint(tmp_path_factory.mktemp("cyclegan") / "last.ckpt", node("cyclegan.CycleGAN"))


def photo(width, height):
    y, x = np.mgrid[0:height, 0:width]
    levels = [x * 255 // max(1, width - 1), y * 255 // max(1, height - 1), (x // 8 + y // 8) % 2 * 200]
    return Image.fromarray(np.stack(levels, -1).astype(np.uint8))


def expected(path, picture):
    """The translation of an RGB picture whose sides need no padding."""
    pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)
    return to_uint8(gan_lab.load(path).translate(to_float(pixels[None]), "b"))[0].permute(1, 2, 0).numpy()


def test_a_folder_with_every_difficulty_is_finished_and_each_told(cyclegan, tmp_path, monkeypatch, capsys):
    photos = tmp_path / "photos, (1)=x"
    (photos / "below").mkdir(parents=True)
    photo(160, 120).save(photos / "below" / "plain.jpg")
    whole = (photos / "below" / "plain.jpg").read_bytes()
    (photos / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (photos / "empty.png").touch()
    (photos / "text.png").write_text("no picture")
    photo(1, 1).save(photos / "one.png")
    photo(12000, 600).save(photos / "wide.jpg", quality=50)
    Image.new("1", (3000, 2500)).save(photos / "bomb.png")
    photo(40, 30).convert("CMYK").save(photos / "cmyk.jpg")
    (photos / "notes.txt").write_text("other")
    limit = f"max_pixels={12000 * 600}"
    call(monkeypatch, f"checkpoint={cyclegan}", f"input={photos}", f"output={tmp_path / 'out'}", limit)
    said = capsys.readouterr().out
    written = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert written == {"below/plain.jpg", "one.png", "wide.jpg", "cmyk.jpg"}
    assert Image.open(tmp_path / "out" / "wide.jpg").size == (12000, 600)
    assert Image.open(tmp_path / "out" / "one.png").size == (1, 1)
    assert "converted from CMYK to RGB: cmyk.jpg" in said
    assert "left out bomb.png: more than max_pixels=7200000 pixels" in said
    assert "left out empty.png: an empty file" in said and "left out text.png: no image" in said
    assert "left out truncated.jpg: image file is truncated" in said
    assert "Translated 4 of 8 images" in said and "4 left out; passed over 1 .txt" in said


def test_one_picture_is_the_models_own_translation(cyclegan, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photo(64, 48).save("in.png")
    call(monkeypatch, f"checkpoint={cyclegan}", "input=in.png", "output=été/out.png")
    assert [path.name for path in (tmp_path / "été").iterdir()] == ["out.png"]
    assert np.array_equal(np.array(Image.open("été/out.png")), expected(cyclegan, photo(64, 48)))
    call(monkeypatch, f"checkpoint={cyclegan}", "input=in.png", "output=2024", "size=[12,20]")
    assert Image.open("2024/in.png").size == (20, 12)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2024", "in.png", "été"]


def test_large_images_are_named_and_resized_to_the_size_of_training(tmp_path, monkeypatch, capsys):
    path = checkpoint(tmp_path / "last.ckpt", node("cyclegan.CycleGAN"))
    content = torch.load(path, weights_only=True)
    content["gan_lab"]["data"] = {"size": [16, 24]}
    torch.save(content, path)
    (tmp_path / "in").mkdir()
    for name, size in (("large", (200, 66)), ("enough", (64, 100)), ("small", (8, 12))):
        photo(*size).save(tmp_path / "in" / f"{name}.png")
    keys = [f"checkpoint={path}", f"input={tmp_path / 'in'}", f"output={tmp_path / 'out'}"]
    call(monkeypatch, *keys)
    said = capsys.readouterr().out
    assert "more than 4 times as large as the images of training (16 px)" in said
    (line,) = [line for line in said.splitlines() if "size=trained" in line]
    assert line.endswith(": large.png")
    call(monkeypatch, *keys, "size=trained", "overwrite=true")
    assert "more than 4 times" not in capsys.readouterr().out
    sizes = {each.stem: Image.open(each).size for each in (tmp_path / "out").iterdir()}
    assert sizes == {"large": (48, 16), "enough": (16, 25), "small": (16, 24)}


def test_the_size_of_training_must_be_known(cyclegan, tmp_path, monkeypatch, capsys):
    photo(16, 16).save(tmp_path / "a.png")
    keys = [f"checkpoint={cyclegan}", f"input={tmp_path / 'a.png'}", f"output={tmp_path / 'out'}", "size=trained"]
    assert "does not state the size of its images: give size=256" in refused(monkeypatch, capsys, *keys)


def test_results_are_left_alone_unless_asked(cyclegan, tmp_path, monkeypatch, capsys):
    for name in ("a.png", "b.png"):
        photo(16, 16).save(tmp_path / name)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.png").write_text("mine")
    keys = [f"checkpoint={cyclegan}", f"input={tmp_path}", f"output={tmp_path / 'out'}"]
    call(monkeypatch, *keys)
    assert "Translated 1 of 2 images" in (said := capsys.readouterr().out) and "1 exist already" in said
    assert (tmp_path / "out" / "a.png").read_text() == "mine"
    call(monkeypatch, *keys, "overwrite=true")
    assert "Translated 2 of 2" in capsys.readouterr().out, "the output below the input is none of the pictures"
    assert Image.open(tmp_path / "out" / "a.png").size == (16, 16)


def test_alpha_tags_turns_and_profiles(cyclegan, tmp_path, monkeypatch, capsys):
    (tmp_path / "in").mkdir()
    alpha = Image.linear_gradient("L").resize((16, 24))
    picture = photo(16, 24)
    picture.putalpha(alpha)
    picture.save(tmp_path / "in" / "alpha.png")
    tags = Image.Exif()
    tags[0x112], tags[0x10F] = 6, "Maker"
    photo(32, 16).save(tmp_path / "in" / "turned.jpg", exif=tags)
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    photo(16, 16).save(tmp_path / "in" / "wrong.png", icc_profile=lab)
    linear = np.full((16, 16), 40000, np.uint16)
    Image.fromarray(linear).save(tmp_path / "in" / "sixteen.tif")
    photo(16, 16).save(tmp_path / "in" / "two.gif", save_all=True, append_images=[photo(16, 16).rotate(90)])
    photo(16, 16).save(tmp_path / "in" / "two.png")
    call(monkeypatch, f"checkpoint={cyclegan}", f"input={tmp_path / 'in'}", f"output={tmp_path / 'out'}")
    said = capsys.readouterr().out
    result = Image.open(tmp_path / "out" / "alpha.png")
    assert np.array_equal(np.array(result)[..., 3], np.array(alpha))
    white = Image.alpha_composite(Image.new("RGBA", (16, 24), "white"), picture).convert("RGB")
    assert np.array_equal(np.array(result)[..., :3], expected(cyclegan, white)), "over white, as in training"
    turned = Image.open(tmp_path / "out" / "turned.jpg")
    assert turned.size == (16, 32) and dict(turned.getexif()) == {0x10F: "Maker"}
    grey = expected(cyclegan, Image.new("RGB", (16, 16), (156,) * 3))  # 40000 / 257, rounded
    assert np.array_equal(np.array(Image.open(tmp_path / "out" / "sixteen.tif")), grey)
    assert (tmp_path / "out" / "two.gif.png").exists() and (tmp_path / "out" / "two.png").exists()
    for line in ("alpha kept: alpha.png", "rotated as EXIF says: turned.jpg", "16 bits reduced to 8: sixteen.tif",
                 "unusable colour profile ignored: wrong.png", "first of several frames: two.gif",
                 "converted from grey to RGB: sixteen.tif"):  # fmt: skip
        assert line in said.splitlines()


def test_a_profile_is_applied():
    """The profile is sRGB's with red and blue exchanged, under another name."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for old, new in ((b"rXYZ", b"????"), (b"bXYZ", b"rXYZ"), (b"????", b"bXYZ")):
        profile = profile.replace(old, new)
    profile = profile.replace("sRGB".encode("utf-16-be"), "BGRs".encode("utf-16-be"))
    file = BytesIO()
    photo(16, 16).save(file, "PNG", icc_profile=profile)
    got = read_image(file, Domain(), 1000)
    assert np.abs(got.pixels.permute(1, 2, 0).numpy()[..., ::-1].astype(int) - np.array(photo(16, 16))).max() <= 1
    assert len(got.notes) == 1 and re.fullmatch("colour profile BGRs.* converted to sRGB", got.notes[0])


def test_a_zip_is_read_without_unpacking_and_cannot_write_outside(cyclegan, tmp_path, monkeypatch):
    file = BytesIO()
    photo(16, 16).save(file, "PNG")
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        for name in (f"{tmp_path}/absolute.png", "deep/x.png", "../../outside.png", "__MACOSX/x.png", "readme.md"):
            archive.writestr(zipfile.ZipInfo(name), file.getvalue())
    call(monkeypatch, f"checkpoint={cyclegan}", f"input={tmp_path / 'in.zip'}", f"output={tmp_path / 'a' / 'out'}")
    inside = tmp_path / "a" / "out"
    expected = {inside / "deep" / "x.png", inside.joinpath(*tmp_path.parts[1:], "absolute.png")}
    assert set(tmp_path.rglob("*.png")) == expected
    assert plan(tmp_path / "in.zip", inside, Domain())[1].endings == {".md": 1}


def test_label_maps_are_ids_on_the_way_in_and_refused_in_colour(tmp_path, monkeypatch, capsys):
    path = checkpoint(tmp_path / "p.ckpt", node("pix2pix.Pix2Pix", a=5))
    (tmp_path / "maps").mkdir()
    ids = np.random.default_rng(0).integers(0, 6, (16, 24)).astype(np.uint8)
    palette = Image.fromarray(ids)
    palette.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255] * 2)
    palette.save(tmp_path / "maps" / "ids.png")
    photo(16, 16).save(tmp_path / "maps" / "colour.png")
    call(monkeypatch, f"checkpoint={path}", f"input={tmp_path / 'maps'}", f"output={tmp_path / 'out'}")
    model = gan_lab.load(path)
    image = model.domains["a"].encode(torch.from_numpy(ids)[None, None])
    result = to_uint8(model.translate(image, "b"))[0].permute(1, 2, 0).numpy()
    assert np.array_equal(np.array(Image.open(tmp_path / "out" / "ids.png")), result)
    assert "left out colour.png: colour-coded (RGB)" in capsys.readouterr().out


def test_maps_of_objects_give_edges_and_are_found_by_name(tmp_path, monkeypatch, capsys):
    domains = {"a": {"labels": 5, "instances": True}, "b": {}}
    path = checkpoint(tmp_path / "p.ckpt", node("pix2pix.Pix2Pix", a=6, domains=domains))
    rng, folders = np.random.default_rng(0), [tmp_path / name for name in ("labels", "objects")]
    maps = [np.repeat(np.repeat(rng.integers(0, high, (4, 6)), 4, 0), 4, 1) for high in (5, 60000)]
    for folder, name, ids in zip(folders, ("x_gtFine_labelIds", "x_gtFine_instanceIds"), maps, strict=True):
        folder.mkdir()
        Image.fromarray(ids.astype(np.uint16 if ids.max() > 255 else np.uint8)).save(folder / f"{name}.png")
    shutil.copy(folders[0] / "x_gtFine_labelIds.png", folders[0] / "y.png")
    Image.fromarray(np.full((16, 24), 7, np.uint8)).save(folders[0] / "z.png")
    Image.new("L", (24, 15)).save(folders[1] / "z.png")
    given = [f"checkpoint={path}", f"input={folders[0]}"]
    call(monkeypatch, *given, f"instances={folders[1]}", f"output={tmp_path / 'with'}")
    said = capsys.readouterr().out
    assert f"left out y.png: instances={folders[1]} has no map of objects of the same name" in said
    assert "left out z.png: it has 24×16 px, and its map of objects z.png has 24×15" in said
    call(monkeypatch, *given, f"output={tmp_path / 'without'}")
    said = capsys.readouterr().out
    assert "edges are those between classes only, because instances=… gives no maps of objects: x_gtFine_" in said
    assert "pixels with the ids 7, which are no class of the model: z.png" in said
    model, name = gan_lab.load(path), "x_gtFine_labelIds.png"
    for output, numbers in (("with", np.unique(maps[1], return_inverse=True)[1].reshape(16, 24)), ("without", maps[0])):
        image = model.domains["a"].encode(torch.from_numpy(np.stack([maps[0], numbers])[None].astype(np.uint8)))
        expected = to_uint8(model.translate(image, "b"))[0].permute(1, 2, 0).numpy()
        assert np.array_equal(np.array(Image.open(tmp_path / output / name)), expected)


def test_maps_of_objects_are_refused_by_a_model_without(cyclegan, tmp_path, monkeypatch, capsys):
    photo(16, 16).save(tmp_path / "x.png")
    asked = [
        f"checkpoint={cyclegan}",
        f"input={tmp_path / 'x.png'}",
        f"instances={tmp_path}",
        f"output={tmp_path / 'y'}",
    ]
    assert "takes no maps of objects: leave out instances=" in refused(monkeypatch, capsys, *asked)


def test_the_sheet_links_every_file_relatively_and_shows_the_way_back(cyclegan, tmp_path, monkeypatch):
    names = ["a b#1.png", "<i>&'\"?.jpg"]
    (tmp_path / "in").mkdir()
    for name in names:
        photo(400, 32).save(tmp_path / "in" / name)
    keys = [f"checkpoint={cyclegan}", f"input={tmp_path / 'in'}", f"output={tmp_path / 'out'}", "sheet=true"]
    call(monkeypatch, *keys)
    page = (tmp_path / "out" / "index.html").read_text()
    assert [html.unescape(title) for title in re.findall("<h2>(.*?)</h2>", page)] == sorted(names)
    linked = [tmp_path / "out" / unquote(link) for link in re.findall(r'(?:src|href)="(.*?)"', page)]
    assert len(linked) == 2 * (3 + 2) and all(path.exists() for path in linked)
    assert "://" not in page and "<i>" not in page
    sizes = {Image.open(path).size for path in (tmp_path / "out" / "thumbnails").iterdir()}
    assert sizes == {(256, 20)}
    thumbnail = next((tmp_path / "out" / "thumbnails").glob("*.input.jpg"))
    thumbnail.unlink()
    call(monkeypatch, *keys)
    assert thumbnail.exists() and (tmp_path / "out" / "index.html").read_text() == page, "a page of the whole job"


def test_names_of_any_bytes_and_lengths_come_to_the_last_page(cyclegan, tmp_path, monkeypatch, capsys):
    names = [b"caf\xe9.png", b"x" * 251 + b".png", "é".encode() * 125 + b".png", b"\xff" + b"y" * 240 + b".gif"]
    (tmp_path / "photos").mkdir()
    for name in map(os.fsdecode, names):
        photo(32, 32).save(tmp_path / "photos" / name)
    (tmp_path / "photos" / os.fsdecode(b"empty\xe9.png")).touch()
    call(monkeypatch, f"checkpoint={cyclegan}", f"input={tmp_path}/photos", f"output={tmp_path}/out", "sheet=true")
    said = capsys.readouterr().out
    assert "left out empty\\udce9.png: an empty file" in said and "Translated 4 of 5 images" in said
    page = (tmp_path / "out" / "index.html").read_text()
    for attribute, count in (("src", 12), ("href", 8)):
        found = [os.fsdecode(unquote_to_bytes(each)) for each in re.findall(f'{attribute}="([^"]+)"', page)]
        assert len(found) == count and all((tmp_path / "out" / each).is_file() for each in found)


def test_members_of_a_zip_with_longer_names_are_written_under_shorter_ones(cyclegan, tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        stream = BytesIO()
        photo(32, 32).save(stream, "PNG")
        for number in range(2):
            archive.writestr(f"sub/{'x' * 400}{number}.png", stream.getvalue())
    call(monkeypatch, f"checkpoint={cyclegan}", f"input={tmp_path}/in.zip", f"output={tmp_path}/out")
    assert len(list((tmp_path / "out" / "sub").glob("x*~????????.png"))) == 2


def test_tags_that_a_jpeg_has_no_room_for_are_dropped(cyclegan, tmp_path, monkeypatch, capsys):
    tags = Image.Exif()
    tags[0x010E] = "x" * 70_000
    photo(32, 32).save(tmp_path / "in.png", exif=tags)
    call(monkeypatch, f"checkpoint={cyclegan}", f"input={tmp_path}/in.png", f"output={tmp_path}/out.jpg")
    assert "EXIF tags dropped: JPEG has no room for them: in.png" in capsys.readouterr().out
    with Image.open(tmp_path / "out.jpg") as written:
        assert written.size == (32, 32) and not written.getexif()


def test_tiles_are_told(cyclegan, tmp_path, monkeypatch, capsys):
    photo(64, 48).save(tmp_path / "in.png")
    keys = [f"checkpoint={cyclegan}", f"input={tmp_path / 'in.png'}"]
    call(monkeypatch, *keys, f"output={tmp_path / 'exact'}", "tile=16")
    assert "in exact tiles: in.png" in capsys.readouterr().out
    whole = np.array(Image.open(tmp_path / "exact" / "in.png")).astype(int) - expected(cyclegan, photo(64, 48))
    assert np.abs(whole).max() <= 1
    call(monkeypatch, *keys, f"output={tmp_path / 'fast'}", "tile=16", "stats=fast", "memory=0.001")
    assert "in fast tiles, about" in capsys.readouterr().out


def test_what_cannot_be_translated_is_refused_in_a_sentence(cyclegan, tmp_path, monkeypatch, capsys):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "x.png").touch()
    photo(16, 16).save(tmp_path / "x.png")
    here = [f"checkpoint={cyclegan}", f"input={tmp_path / 'x.png'}", f"output={tmp_path / 'out'}"]
    for arguments, said in (
        ([*here, "direction=b2c"], "direction=a2b or direction=b2a"),
        ([*here, "size=big"], "size=big"),
        ([*here, "memory=0"], "memory=0"),
        ([*here, "max_pixels=0"], "max_pixels=0"),
        ([*here[:2], f"output={tmp_path / 'new.png'}", "sheet=true"], "sheet=true"),
        ([here[0], f"input={tmp_path / 'broken'}", here[2]], "x.png (an empty file)"),
        (here[1:], "checkpoint"),
    ):
        assert said in refused(monkeypatch, capsys, *arguments), arguments


def test_places_that_do_not_serve_are_refused(tmp_path):
    for name in ("none", "full"):
        (tmp_path / name).mkdir()
    (tmp_path / "notes.md").write_text("text")
    for path in (tmp_path / "x.png", tmp_path / "full" / "x.png"):
        photo(16, 16).save(path)
    for source, output, said in (
        ("x.png", "x.png", "would be overwritten"),
        ("x.png", ".", "would be overwritten"),
        ("x.png", "new.gif", r"\.png"),
        ("none", "out", "no images|no pictures"),
        ("nowhere", "out", "does not exist"),
        ("notes.md", "out", "nor a zip"),
        ("full", "x.png", "give a folder"),
        ("full", "full", "give another folder"),
    ):
        with pytest.raises(UserError, match=said):
            plan(tmp_path / source, tmp_path / output, Domain())
    (job,) = plan(tmp_path / "x.png", tmp_path / "new.jpg", Domain())[0]
    assert job.output == tmp_path / "new.jpg"
    with pytest.raises(UserError, match="cannot hold"):
        plan(tmp_path / "x.png", tmp_path / "new.jpg", Domain(labels=3))


def test_a_model_that_only_samples_is_refused(cyclegan, monkeypatch, capsys):
    class Sampler:
        def sample(self, n, seed=0, start=0, label=None, truncation=1.0): ...

    monkeypatch.setattr("gan_lab.training.checkpoint.model_of", lambda *arguments: Sampler())
    assert "gan_lab.sample" in refused(monkeypatch, capsys, f"checkpoint={cyclegan}", "input=x.png")


def test_ctrl_c_leaves_only_whole_files_and_the_job_goes_on(cyclegan, tmp_path, monkeypatch, capsys):
    (tmp_path / "in").mkdir()
    for number in range(3):
        photo(64, 64).save(tmp_path / "in" / f"{number}.png")
    save = Image.Image.save

    def interrupted(image, path, *arguments, **options):
        save(image, path, *arguments, **options)
        if path.name.startswith(".1."):
            path.write_bytes(path.read_bytes()[:100])
            raise KeyboardInterrupt

    keys = [f"checkpoint={cyclegan}", f"input={tmp_path / 'in'}", f"output={tmp_path / 'out'}"]
    with monkeypatch.context() as patched, pytest.raises(SystemExit) as end:
        patched.setattr(Image.Image, "save", interrupted)
        call(monkeypatch, *keys)
    assert end.value.code == 130
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names in ({"0.png"}, {"0.png", "2.png"})  # another thread may have been writing the next
    call(monkeypatch, *keys)
    assert f"Translated {3 - len(names)} of 3" in capsys.readouterr().out
    for path in (tmp_path / "out").iterdir():
        Image.open(path).load()


def test_chance_has_a_seed_and_a_switch(cyclegan, tmp_path, monkeypatch, capsys):
    dropping = {"_target_": "gan_lab.networks.resnet.Generator", "filters": 2, "blocks": 1, "dropout": 0.5}
    configuration = node("pix2pix.Pix2Pix", generator=dropping, dropout_at_test=True)
    path = checkpoint(tmp_path / "last.ckpt", configuration)
    photo(32, 32).save(tmp_path / "in.png")

    def made(folder, *keys):
        output = tmp_path / folder
        call(monkeypatch, f"checkpoint={path}", f"input={tmp_path / 'in.png'}", f"output={output}", *keys)
        return (output / "in.png").read_bytes()

    once = made("0")
    assert made("again") == once
    assert made("1", "seed=1") != once
    assert made("off", "dropout=false") == made("off1", "dropout=false", "seed=1") != once
