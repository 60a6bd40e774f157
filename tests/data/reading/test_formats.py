"""Sizes and colours from headers: of all images, without decoding them."""

from collections import Counter
from io import BytesIO
from zipfile import ZipFile

import pytest
from PIL import Image

from gan_lab.data.reading import formats
from gan_lab.data.reading.files import ImageFiles, ImageFolder, same_format
from gan_lab.data.reading.formats import Formats, common_size, formats_of
from gan_lab.data.reading.listing import Entry, list_images


def write(path, width, height, mode="RGB", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (width, height)).save(path, **options)


def files(root):
    return ImageFiles(list_images(root))


def test_sizes_are_upright_and_damaged_files_are_left_out(tmp_path):
    tags = Image.Exif()
    tags[0x0112] = 6
    write(tmp_path / "a.png", 6, 4)
    write(tmp_path / "b.jpg", 4, 6, exif=tags)
    write(tmp_path / "c.png", 4, 6, exif=tags)
    write(tmp_path / "d.webp", 8, 8, exif=tags)
    (tmp_path / "e.png").write_bytes(b"nothing")
    found = formats_of(files(tmp_path))
    assert found == Formats(Counter({(4, 6): 3, (8, 8): 1})) and len(found) == 4
    assert found.usual_size == (4, 6) and found.size is None


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16"])
def test_all_images_decide_whether_the_set_is_grey(tmp_path, mode):
    for name in "abc":
        write(tmp_path / f"{name}.png", 4, 4, mode)
    assert formats_of(files(tmp_path)).channels == 1
    write(tmp_path / "z.png", 4, 4)
    found = formats_of(files(tmp_path))
    assert found.channels == 3 and found.colours == "3 of them grey" and found.size == (4, 4)


def test_equally_frequent_sizes_give_the_largest():
    assert Formats(Counter({(4, 9): 2, (6, 7): 2, (9, 9): 1})).usual_size == (6, 7)
    assert common_size([Formats(Counter({(4, 4): 3})), Formats(Counter({(4, 4): 1}))]) == (4, 4)
    assert common_size([Formats(Counter({(4, 4): 3})), Formats(Counter({(5, 4): 1}))]) is None
    assert common_size([]) is None


def test_halves_are_half_as_wide(tmp_path):
    write(tmp_path / "a.png", 9, 4, "L")
    assert formats_of(ImageFiles(list_images(tmp_path), half="left")) == Formats(Counter({(4, 4): 1}), 1)


def test_a_zip_is_read_without_unpacking_it(tmp_path):
    with ZipFile(tmp_path / "a.zip", "w") as archive:
        stream = BytesIO()
        Image.new("L", (5, 3)).save(stream, "PNG")
        archive.writestr("x/a.png", stream.getvalue())
    assert formats_of(files(tmp_path / "a.zip")).size == (3, 5)


def test_headers_are_kept_until_a_file_changes_and_damage_is_found(tmp_path, monkeypatch):
    root, cache = tmp_path / "images", tmp_path / "cache"
    write(root / "a.png", 4, 4)
    formats_of(files(root), cache)
    (kept,) = cache.iterdir()
    monkeypatch.setattr(formats, "_read", None)
    assert formats_of(files(root), cache).size == (4, 4)
    monkeypatch.undo()
    kept.write_bytes(kept.read_bytes().replace(b"4, 4", b"4, 5"))
    assert formats_of(files(root), cache).size == (4, 4), "it is read again"
    write(root / "a.png", 6, 6)
    assert formats_of(files(root), cache).size == (6, 6)
    cache.joinpath("file").touch()
    assert formats_of(files(root), cache / "file").size == (6, 6), "nothing can be kept there"


def test_jpegs_are_reduced_by_their_decoder_only_among_themselves(tmp_path):
    jpeg, other = ([Entry((name,), str(tmp_path / name))] for name in ("a.JPG", "b.png"))
    assert same_format([ImageFiles(jpeg), ImageFiles(jpeg)]) and same_format([ImageFiles(other)]) and same_format([])
    assert not same_format([ImageFiles(jpeg), ImageFiles(other)]) and not same_format([ImageFiles(jpeg + other)])


def test_splits_are_found_before_their_headers(tmp_path):
    write(tmp_path / "train" / "a.png", 4, 4)
    write(tmp_path / "test" / "a.png", 4, 5)
    assert {name: formats_of(each).size for name, each in ImageFolder(str(tmp_path)).splits().items()} == {
        "train": (4, 4),
        "test": (5, 4),
    }
