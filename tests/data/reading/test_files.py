import os
import zipfile

import numpy as np
import pytest
from PIL import Image

from gan_lab.common.errors import UserError
from gan_lab.data.loading.cache import render
from gan_lab.data.reading import listing
from gan_lab.data.reading.files import ImageFolder
from gan_lab.data.reading.resize import ResizeSpec

SPEC = ResizeSpec((8, 8), (8, 8), 3)


def zipped(folder, file):
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    return file


def names(images):
    return [entry.name for entry in images.entries]


def test_class_subfolders_are_labels_in_the_natural_order_of_names(make_folder):
    root = make_folder(["s2/a.png", "s10/a.png", "s1/b.PNG", "s1/a.png"])
    (root / "README.md").write_text("no image")
    (root / ".hidden.png").write_bytes(b"")
    images = ImageFolder(root).splits()["all"]
    assert names(images) == ["s1/a.png", "s1/b.PNG", "s10/a.png", "s2/a.png"]
    assert images.labels.tolist() == [0, 0, 2, 1]
    assert (images.classes, images.class_names) == (3, ["s1", "s2", "s10"])
    assert ImageFolder(root, "text").class_names() == ["s1", "s10", "s2"]


@pytest.mark.parametrize("layout", [["a.png", "b.png"], ["x/a.png", "b.png"], ["x/a.png", "x/b.png"]])
def test_layouts_without_classes(make_folder, layout):
    images = ImageFolder(make_folder(layout)).splits()["all"]
    assert (len(images), images.classes, images.labels) == (2, 0, None)


def test_a_zip_equals_its_folder(make_folder, tmp_path):
    folder = make_folder([f"wrap/{kind}/{number}.png" for kind in "ab" for number in range(3)])
    loose = render(ImageFolder(folder).splits()["all"], SPEC)
    packed = render(ImageFolder(zipped(folder, tmp_path / "all.zip")).splits()["all"], SPEC)
    assert np.array_equal(loose.pixels, packed.pixels)
    assert loose.fingerprint() == packed.fingerprint()
    assert loose.labels.tolist() == packed.labels.tolist() == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("test", ["test", "val"])
@pytest.mark.parametrize("packed", [False, True])
def test_splits(make_folder, tmp_path, test, packed):
    root = make_folder(["train/a/1.png", "train/b/1.png", f"{test}/a/2.png", f"{test}/b/2.png", f"{test}/b/3.png"])
    if packed:
        target = tmp_path / "packed"
        target.mkdir()
        for split in ("train", test):
            zipped(root / split, target / f"{split}.zip")
        root = target
    splits = ImageFolder(root).splits()
    assert names(splits["train"]) == ["a/1.png", "b/1.png"]
    assert splits["test"].labels.tolist() == [0, 1, 1]


def test_a_class_may_be_called_train(make_folder):
    assert ImageFolder(make_folder(["bus/1.png", "train/1.png"])).splits()["all"].classes == 2


def test_a_class_without_training_images_counts(make_folder):
    splits = ImageFolder(make_folder(["train/a/1.png", "train/c/1.png", "test/b/1.png"])).splits()
    assert splits["train"].labels.tolist() == [0, 2]
    assert splits["test"].labels.tolist() == [1]


def test_the_root_must_have_images(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "bad.zip").write_bytes(b"PK\3\4 cut")
    for root, what in (("missing", "does not exist"), (".", "no images"), ("bad.zip", "zip"), ("notes.txt", "zip")):
        with pytest.raises(UserError, match=what) as refusal:
            ImageFolder(tmp_path / root).splits()
        assert str(tmp_path) in str(refusal.value)


def test_the_summary_has_counts_sizes_and_modes(tmp_path):
    for number, (mode, size) in enumerate([("L", (4, 6)), ("RGB", (5, 6)), ("RGB", (5, 6)), ("P", (30, 20))]):
        Image.new(mode, size).save(tmp_path / f"{number}.png")
    scan = render(ImageFolder(tmp_path).splits()["all"], SPEC).scan
    assert scan.summary() == "4 images, 4×6 to 30×20, most often 5×6 (2), RGB 2, L 1, P 1"


def damaged(folder, count):
    paths = sorted(folder.glob("*.png"))[:count]
    for path in paths:
        path.write_bytes(path.read_bytes()[:40])
    return [path.name for path in paths]


def test_a_hundredth_may_be_unreadable(make_folder):
    root = make_folder([f"{number:03}.png" for number in range(100)])
    whole = render(ImageFolder(root).splits()["all"], SPEC).pixels.copy()
    (name,) = damaged(root, 1)
    found = render(ImageFolder(root).splits()["all"], SPEC)
    assert list(found.scan.unreadable) == [name]
    assert np.array_equal(found.pixels, whole[1:])
    assert "1 unreadable skipped" in found.scan.summary()


def test_more_than_a_hundredth_is_refused(make_folder, cache_folder):
    root = make_folder([f"{number:03}.png" for number in range(100)])
    names = damaged(root, 2)
    with pytest.raises(UserError, match=rf"^2 of 100 images .*{names[0]} \(.*\), {names[1]}"):
        render(ImageFolder(root).splits()["all"], SPEC)
    assert not list(cache_folder.rglob("*.u8"))


def test_labels_follow_the_readable_images(make_folder):
    root = make_folder([f"{kind}/{number}.png" for kind in "ab" for number in range(60)])
    (root / "a/7.png").write_bytes(b"no")
    assert np.bincount(render(ImageFolder(root).splits()["all"], SPEC).labels).tolist() == [59, 60]


def test_a_zip_is_known_by_its_bytes(make_folder, tmp_path):
    """Its directory states a checksum and a size for each member: members may differ and these be equal."""
    one = zipped(make_folder(["a.png", "b.png"]), tmp_path / "one.zip")
    whole = one.read_bytes()
    content = ImageFolder(one).splits()["all"].content_hash(tmp_path)
    assert ImageFolder(one).splits()["all"].content_hash(tmp_path) == content
    for place in (60, 100):  # in the first member's data
        changed = tmp_path / f"{place}.zip"
        changed.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert ImageFolder(changed).splits()["all"].content_hash(tmp_path) != content
    (tmp_path / "copy.zip").write_bytes(whole)
    assert ImageFolder(tmp_path / "copy.zip").splits()["all"].content_hash(tmp_path) == content


def test_decompression_bombs_and_broken_links_are_unreadable(make_folder, tmp_path, monkeypatch):
    root = make_folder([f"{number:03}.png" for number in range(200)])
    Image.new("L", (300, 300)).save(root / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20_000)
    packed = zipped(root, tmp_path / "all.zip")
    monkeypatch.setattr(listing, "MAX_MEMBER_BYTES", 10_000)
    (root / "gone.png").symlink_to(root / "nowhere.png")
    found = render(ImageFolder(root).splits()["all"], SPEC).scan.unreadable
    assert "decompression bomb" in found["bomb.png"] and "No such file" in found["gone.png"]
    assert list(render(ImageFolder(packed).splits()["all"], SPEC).scan.unreadable) == ["bomb.png"]


def test_the_content_hash_depends_on_bytes_not_times(make_folder, tmp_path):
    def content(root):
        return ImageFolder(root).splits()["all"].content_hash(tmp_path)

    one, two = make_folder(["a.png", "b.png"], "one"), make_folder(["a.png", "b.png"], "two")
    before = content(one)
    assert content(two) == before
    os.utime(one / "a.png", (0, 0))
    assert content(one) == before
    changed = bytearray((two / "a.png").read_bytes())
    times = (two / "a.png").stat()
    changed[-20] ^= 1
    (two / "a.png").write_bytes(changed)
    os.utime(two / "a.png", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert content(two) != before
