import os
import pickle
import threading

import numpy as np
import pytest
import torch
from PIL import Image

from gan_lab.common.errors import UserError
from gan_lab.data.loading import building, cache
from gan_lab.data.loading.cache import render
from gan_lab.data.loading.rendered import Ragged, Rendered
from gan_lab.data.modules.images import ImageDataModule
from gan_lab.data.reading import files
from gan_lab.data.reading.files import ImageFolder
from gan_lab.data.reading.image_sets import Scan
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.data.sources.arrays import ArrayImages

SPEC = ResizeSpec((8, 8), (8, 8), 3)


@pytest.fixture
def decoded(monkeypatch):
    """Files that were decoded."""
    seen, decode = [], files.decode_image
    monkeypatch.setattr(files, "decode_image", lambda file, frame: seen.append(file) or decode(file, frame))
    return seen


def all_of(root):
    return ImageFolder(root).splits()["all"]


def test_a_second_run_decodes_nothing(make_folder, decoded):
    root = make_folder([f"{number}.png" for number in range(5)])
    first = render(all_of(root), SPEC)
    assert len(decoded) == 5
    second = render(all_of(root), SPEC)
    assert len(decoded) == 5
    assert np.array_equal(first.pixels, second.pixels)
    assert first.scan == second.scan and first.fingerprint() == second.fingerprint()


def test_another_transform_or_content_is_rendered_again(make_folder, decoded):
    root = make_folder(["a.png", "b.png"])
    prints = {
        render(all_of(root), SPEC).fingerprint(),
        render(all_of(root), ResizeSpec((8, 8), (8, 8), 1)).fingerprint(),
    }
    prints.add(render(all_of(root), ResizeSpec((4, 8), (4, 8), 3)).fingerprint())
    (root / "b.png").write_bytes((make_folder(["c.png"], "other") / "c.png").read_bytes())
    prints.add(render(all_of(root), SPEC).fingerprint())
    assert len(prints) == 4 and len(decoded) == 8


def test_in_memory_leaves_nothing_on_disk(make_folder, cache_folder):
    root = make_folder(["a.png", "b.png"])
    kept, free = render(all_of(root), SPEC, "disk"), render(all_of(root), SPEC, "memory")
    assert kept.fingerprint() == free.fingerprint()
    files_of_one = set(cache_folder.rglob("*.*"))
    render(all_of(make_folder(["c.png", "d.png"], "other")), SPEC, "memory")
    assert set(cache_folder.rglob("*.*")) == files_of_one


@pytest.mark.parametrize("suffix", [".u8", ".npz"])
def test_a_cut_file_is_built_again(make_folder, cache_folder, decoded, suffix):
    root = make_folder(["a.png", "b.png"])
    whole = render(all_of(root), SPEC).pixels.copy()
    (file,) = cache_folder.rglob(f"*{suffix}")
    file.write_bytes(file.read_bytes()[:50])
    assert np.array_equal(render(all_of(root), SPEC).pixels, whole)
    assert len(decoded) == 4


def test_one_of_concurrent_builders_decodes_and_the_others_wait(make_folder, cache_folder, decoded):
    root = make_folder([f"{number}.png" for number in range(20)])
    prints, barrier = [], threading.Barrier(4)

    def build():
        barrier.wait()
        prints.append(render(all_of(root), SPEC).fingerprint())

    threads = [threading.Thread(target=build) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(prints) == 4 and len(set(prints)) == 1 and len(decoded) == 20
    assert {path.suffix for path in cache_folder.rglob("*.*")} == {".content", ".npz", ".u8"}


def test_a_cache_folder_that_cannot_be_written(make_folder, tmp_path):
    root = make_folder(["a.png", "b.png"])
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"data\.cache_dir"):
        render(all_of(root), SPEC, "disk", tmp_path / "file")
    with pytest.warns(UserWarning, match="they stay in memory"):
        assert len(render(all_of(root), SPEC, "auto", tmp_path / "file")) == 2


def test_a_pickled_set_is_mapped_again(make_folder):
    rendered = render(all_of(make_folder([f"{number}.png" for number in range(300)])), SPEC)
    sent = pickle.dumps(rendered)
    assert len(sent) < rendered.pixels.nbytes / 2
    assert np.array_equal(pickle.loads(sent).pixels, rendered.pixels)


def test_the_fingerprint_depends_on_center_crops_alone():
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 12, 12), np.uint8)
    changed = images.copy()
    changed[3, 1, 6, 6] ^= 1

    def fingerprint(images, frame, labels=None):
        return render(ArrayImages(images, labels), frame).fingerprint()

    frame = ResizeSpec((8, 8), (12, 12), 3)
    same = fingerprint(images, frame)
    assert fingerprint(changed, frame) != same
    assert fingerprint(images[:4], frame) != same
    assert fingerprint(images[::-1], frame) != same
    assert fingerprint(images, frame, np.zeros(5, np.int64)) == same
    centre = np.ascontiguousarray(images[..., 2:10, 2:10])
    assert fingerprint(centre, SPEC) == same, "what lies outside the central part is never seen by a metric"
    outside = images.copy()
    outside[..., 0, 0] ^= 1
    assert fingerprint(outside, frame) == same


def test_the_fingerprint_of_a_ragged_set_depends_on_shapes():
    flat, digests, frame = np.zeros(36, np.uint8), np.zeros((2, 16), np.uint8), ResizeSpec(None, (8, 8), 1, "keep")

    def fingerprint(*shapes):
        return Rendered(Ragged(flat, np.array(shapes), 1), digests, None, Scan(), frame).fingerprint()

    assert fingerprint((4, 8), (2, 2)) == fingerprint((4, 8), (2, 2)) != fingerprint((8, 4), (2, 2))


def test_padding_is_exact_and_other_sizes_are_resized():
    images = np.random.default_rng(0).integers(0, 256, (3, 1, 28, 28), np.uint8)
    padded = render(ArrayImages(images, padding=2), ResizeSpec((32, 32), (32, 32), 1)).pixels
    assert np.array_equal(padded[..., 2:-2, 2:-2], images)
    assert padded.sum() == images.sum(dtype=np.int64)
    constant = render(ArrayImages(np.full_like(images, 9), padding=2), ResizeSpec((40, 24), (40, 24), 3)).pixels
    assert constant.shape == (3, 3, 40, 24) and (constant == 9).all()


class Stopped(KeyboardInterrupt):
    """The user's Ctrl-C."""


def cut_short(root, spec, monkeypatch, images):
    """Reads a folder with portions of two images, and is stopped before the image of this number."""
    monkeypatch.setattr(building, "PORTION", 2 * 3 * 8 * 8)
    rest, decode = iter(range(images)), files.decode_image

    def stopping(*arguments):
        if next(rest, None) is None:
            raise Stopped
        return decode(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(files, "decode_image", stopping)
        patch.setattr(files, "map_in_threads", map)
        with pytest.raises(Stopped):
            render(all_of(root), spec)


@pytest.mark.parametrize("resize", ["cover", "keep"])
def test_a_scan_that_is_cut_short_goes_on(make_folder, cache_folder, monkeypatch, decoded, resize):
    root = make_folder([f"{number}.png" for number in range(10)])
    Image.new("RGB", (12, 8), (1, 2, 3)).save(root / "3.png")
    (root / "1.png").write_bytes(b"damaged")
    monkeypatch.setattr(cache, "MAX_UNREADABLE", 0.1)
    spec = ResizeSpec((8, 8) if resize == "cover" else None, (8, 8), 3, resize)
    whole = render(all_of(root), spec, "memory")
    cut_short(root, spec, monkeypatch, 7)
    decoded.clear()
    resumed = render(all_of(root), spec)
    assert len(decoded) < 6, "the first portions are not read again"
    assert resumed.fingerprint() == whole.fingerprint() and resumed.scan == whole.scan
    assert [pixels.tolist() for pixels in resumed.pixels] == [pixels.tolist() for pixels in whole.pixels]
    assert {path.suffix for path in cache_folder.rglob("*.*")} == {".content", ".npz", ".u8"}


@pytest.mark.parametrize("suffix", [".part", ".notes"])
def test_portions_that_changed_on_disk_are_read_again(make_folder, cache_folder, monkeypatch, decoded, suffix):
    root = make_folder([f"{number}.png" for number in range(10)])
    cut_short(root, SPEC, monkeypatch, 9)
    (file,) = cache_folder.rglob(f"*{suffix}")
    content = bytearray(file.read_bytes())
    content[300 if suffix == ".part" else len(content) // 2] ^= 1  # the first portion's last image, or a later line
    file.write_bytes(content)
    decoded.clear()
    resumed = render(all_of(root), SPEC)
    assert len(decoded) == 10 if suffix == ".part" else 2 < len(decoded) < 10
    assert resumed.fingerprint() == render(all_of(root), SPEC, "memory").fingerprint()


@pytest.mark.parametrize("resize", ["cover", "keep"])
def test_packed_files_are_decoded_to_the_same_pixels(make_folder, cache_folder, monkeypatch, resize):
    root = make_folder([f"{number}.png" for number in range(10)])
    if resize == "keep":
        Image.new("RGB", (12, 8), (1, 2, 3)).save(root / "3.png")
    (root / "1.png").write_bytes(b"damaged")
    monkeypatch.setattr(cache, "MAX_UNREADABLE", 0.1)
    spec = ResizeSpec((8, 8) if resize == "cover" else None, (8, 8), 3, resize)
    raw, packed = render(all_of(root), spec, "disk"), render(all_of(root), spec, "packed")
    again = pickle.loads(pickle.dumps(packed))
    for other in (packed, again, render(all_of(root), spec, "packed")):
        assert other.identity() == raw.identity() and other.scan == raw.scan and other.one_size == raw.one_size
        assert [pixels.tolist() for pixels in other.pixels] == [pixels.tolist() for pixels in raw.pixels]
    (file,) = cache_folder.rglob("*.packed")
    assert file.read_bytes() == b"".join((root / f"{n}.png").read_bytes() for n in range(10) if n != 1)


def test_packed_batches_and_views_are_those_of_decoded_pixels(make_folder):
    root = make_folder([f"train/{number}.png" for number in range(10)] + ["test/a.png", "test/b.png"])
    batches, views = [], []
    for where in ("disk", "packed"):
        options = {"channels": 3, "classes": 0, "size": 8, "batch_size": 4, "crop": "random", "flip": True}
        data = ImageDataModule(ImageFolder(root), "photos", cache=where, **options)
        batches.append([next(iter(data.train_dataloader()))["image"] for _ in range(2)])
        views.append((torch.cat(list(data.images("train"))), data.fingerprint("train"), data.identities()))
    assert all(torch.equal(*pair) for pair in zip(*batches, strict=True))
    assert torch.equal(views[0][0], views[1][0]) and views[0][1:] == views[1][1:]


def test_what_is_in_no_file_cannot_be_packed():
    images = ArrayImages(np.zeros((3, 3, 8, 8), np.uint8))
    with pytest.raises(UserError, match="give disk"):
        render(images, SPEC, "packed")


def test_what_is_never_finished_is_cleared_after_a_week(make_folder, cache_folder, monkeypatch):
    root = make_folder([f"{number}.png" for number in range(10)])
    cut_short(root, SPEC, monkeypatch, 7)
    left = [path for path in cache_folder.rglob("*.*") if path.suffix in cache.UNFINISHED]
    assert len(left) == 2
    other = make_folder(["a.png"], "other")
    render(all_of(other), SPEC)
    assert all(path.exists() for path in left)
    for path in left:
        os.utime(path, (0, 0))
    render(all_of(other), ResizeSpec((4, 4), (4, 4), 3))
    assert not any(path.exists() for path in left)


def test_what_killed_scans_left_is_cleared_by_the_next(make_folder, cache_folder):
    folder = cache_folder / "pixels"
    folder.mkdir(parents=True)
    left, running = (folder / f".{name}.{'0' * 32}.u8" for name in ("left", "running"))
    for path in (left, running):
        path.write_bytes(b"half")
    os.utime(left, (0, 0))
    render(all_of(make_folder(["a.png"])), SPEC, cache="disk")
    assert not left.exists() and running.exists()
