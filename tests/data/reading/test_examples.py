"""Examples of attributes, from folders and from tables."""

import pytest
from PIL import Image

from gan_lab.common.errors import UserError
from gan_lab.data.reading.examples import read_examples
from gan_lab.data.reading.resize import ResizeSpec

SPEC = ResizeSpec((4, 4), (4, 4), 1)


def images(folder, names):
    for shade, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), 10 * shade).save(folder / name)


def shades(examples, rows):
    return [round(float((examples.images[row, 0, 0, 0] + 1) * 127.5) / 10) for row in rows]


def test_each_folder_is_an_attribute_against_all_others(tmp_path):
    images(tmp_path, ["a/0.png", "a/1.png", "b/2.png", "c/3.png", "4.png"])
    (tmp_path / "b" / "broken.png").write_bytes(b"no image")
    found = read_examples(tmp_path, SPEC)
    assert [*found.attributes] == ["a", "b", "c"] and found.images.shape == (5, 1, 4, 4)
    without, having = found.attributes["b"]
    assert (shades(found, without), shades(found, having)) == ([0, 1, 3], [2])


def test_two_folders_are_one_attribute(tmp_path):
    images(tmp_path, ["light/0.png", "dark/1.png"])
    found = read_examples(tmp_path, SPEC)
    assert [*found.attributes] == ["light"] and shades(found, found.attributes["light"][1]) == [0]


def test_columns_with_two_values_are_attributes(tmp_path):
    images(tmp_path, ["0.png", "1.png", "2.png", "sub/3.png"])
    rows = ["file,smile,sex,age,hat", "0.png,1,male,20,yes", "1.png,-1,female,30,no", "2.png,,male,40,no",
            "sub/3.png,1,female,50,no", "elsewhere.png,1,other,1,maybe"]  # fmt: skip
    (tmp_path / "table.csv").write_text("\n".join(rows))
    with pytest.warns(UserWarning, match=r"do not have two values, and are passed over: age \(4\)"):
        found = read_examples(tmp_path / "table.csv", SPEC)
    chosen = {name: tuple(shades(found, rows) for rows in either) for name, either in found.attributes.items()}
    assert chosen == {"smile": ([1], [0, 3]), "male": ([1, 3], [0, 2]), "hat": ([1, 2, 3], [0])}


def test_numbers_names_and_long_rows_are_read(tmp_path):
    """As pandas writes them: 0.0 and 1.0 where a value is missing; columns of the same values keep their names."""
    images(tmp_path, ["0.png", "1.png", "2.png"])
    rows = ["file,dark,size,hair", "0.png,0.0,low,low,beyond", "1.png,1.0,high,high", "2.png,,high,low"]
    (tmp_path / "table.csv").write_text("\n".join(rows))
    found = read_examples(tmp_path / "table.csv", SPEC).attributes
    assert {name: (list(a), list(b)) for name, (a, b) in found.items()} == {
        "dark": ([0], [1]), "size low": ([1, 2], [0]), "hair low": ([1], [0, 2]),
    }  # fmt: skip


def test_examples_without_attributes_are_refused(tmp_path):
    images(tmp_path, ["0.png", "1.png"])
    (tmp_path / "table.csv").write_text("file,age\n0.png,1\n")
    with pytest.raises(UserError, match="has no folders of classes"):
        read_examples(tmp_path, SPEC)
    with pytest.raises(UserError, match="has no columns with two values"):
        read_examples(tmp_path / "table.csv", SPEC)
    (tmp_path / "table.csv").write_text("file;age\n0.png;1\n")
    with pytest.raises(UserError, match="has one column alone"):
        read_examples(tmp_path / "table.csv", SPEC)
    (tmp_path / "table.csv").write_text("file,age\n0,1\n")
    with pytest.raises(UserError, match="names none of the images beside it"):
        read_examples(tmp_path / "table.csv", SPEC)
    with pytest.raises(UserError, match="cannot be read"):
        read_examples(tmp_path / "none.csv", SPEC)
