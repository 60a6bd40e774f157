"""Images in a .npz file, against NumPy's own reading and writing, and files that are none."""

import ast
import tracemalloc
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from PIL import Image

from gan_lab.common.errors import UserError
from gan_lab.common.npz import write_npz
from gan_lab.data.reading.npz import NpzImages
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.data.sources.folders import compared_folders


def pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def spec(side, channels, height=None):
    return ResizeSpec((height or side, side), (height or side, side), channels, shortcut=False)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("shape", [(9, 6, 8, 3), (9, 6, 8, 1), (9, 6, 8)], ids=str)
def test_what_numpy_wrote_is_read_in_order(tmp_path, save, shape):
    images = pixels(*shape)
    save(tmp_path / "x.npz", images, np.arange(9) % 4)
    found = NpzImages(tmp_path / "x.npz")
    channels = shape[3] if len(shape) == 4 else 1
    rendered = np.stack([each.pixels for each in found.render(spec(8, channels, 6))])
    assert (rendered == images.reshape(9, 6, 8, channels).transpose(0, 3, 1, 2)).all()
    assert (len(found), found.classes, found.labels.tolist()) == (9, 4, [i % 4 for i in range(9)])
    some = found.take(np.array([1, 2, 7])).take(np.array([0, 2]))
    assert [each.pixels.tolist() for each in some.render(spec(8, channels, 6))] == rendered[[1, 7]].tolist()
    assert some.labels.tolist() == [1, 3]
    assert len({each.content_hash(tmp_path) for each in (found, some)}) == 2


def test_numpy_reads_what_is_written(tmp_path):
    images, labels = pixels(10, 3, 5, 7), torch.arange(10) % 3
    write_npz(tmp_path / "new" / "x.npz", 10, torch.from_numpy(images).split(4), labels)
    with np.load(tmp_path / "new" / "x.npz", allow_pickle=False) as found:
        assert sorted(found) == ["arr_0", "arr_1"]
        assert (found["arr_0"] == images.transpose(0, 2, 3, 1)).all() and found["arr_0"].dtype == np.uint8
        assert (found["arr_1"] == labels.numpy()).all() and found["arr_1"].dtype == np.int64


def read_as_the_evaluator(path, size):
    """Yields batches (n, H, W, 3): its head by hand, then pixels as they come, as in guided-diffusion."""
    with ZipFile(path) as archive, archive.open("arr_0.npy") as file:
        assert file.read(8) == b"\x93NUMPY\x01\x00"
        head = ast.literal_eval(file.read(int.from_bytes(file.read(2), "little")).decode())
        assert head["descr"] == "|u1" and not head["fortran_order"]
        n, *shape = head["shape"]
        for start in range(0, n, size):
            count = min(size, n - start)
            yield np.frombuffer(file.read(count * int(np.prod(shape))), np.uint8).reshape(count, *shape)


def test_the_evaluator_of_adm_sees_the_images_themselves(tmp_path):
    images = pixels(10, 3, 16, 16)
    write_npz(tmp_path / "x.npz", 10, torch.from_numpy(images).split(3))
    read = [*read_as_the_evaluator(tmp_path / "x.npz", 4)]
    assert [len(batch) for batch in read] == [4, 4, 2]
    assert np.array_equal(np.concatenate(read), images.transpose(0, 2, 3, 1))


def test_an_unfinished_file_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="4 images came instead of 5"):
        write_npz(tmp_path / "x.npz", 5, [torch.zeros(4, 1, 2, 2, dtype=torch.uint8)])
    assert not list(tmp_path.iterdir())


def test_neither_writing_nor_reading_holds_the_images(tmp_path):
    """4,000 images of 64 px are 49 MB, a batch 0.8 MB."""
    batch = torch.from_numpy(pixels(64, 3, 64, 64))
    tracemalloc.start()
    write_npz(tmp_path / "x.npz", 4032, (batch for _ in range(63)))
    total = sum(int(each.pixels[0, 0, 0]) for each in NpzImages(tmp_path / "x.npz").render(spec(64, 3)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 63 * int(batch[:, 0, 0, 0].sum())
    assert peak < 6e6


def test_other_sizes_and_colours_are_converted_as_files_are(tmp_path):
    images = pixels(5, 12, 12, 3)
    np.savez(tmp_path / "x.npz", images)
    (tmp_path / "files").mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / "files" / f"{number}.png")
    sides = compared_folders(str(tmp_path / "files"), str(tmp_path / "x.npz"), 8)
    files, array = (torch.cat(list(side.images("train"))) for side in sides)
    assert files.shape == (5, 3, 8, 8) and torch.equal(files, array)
    np.savez(tmp_path / "grey.npz", images[..., 0])
    sides = compared_folders(str(tmp_path / "grey.npz"), str(tmp_path / "x.npz"))
    assert [side.channels for side in sides] == [3, 3]
    grey = torch.cat(list(sides[0].images("train")))
    assert torch.equal(grey, torch.from_numpy(images[..., 0])[:, None].expand(-1, 3, -1, -1))


class Trap:
    def __reduce__(self):
        return Path.touch, (Path("sprung"),)


def wrong_files():
    yield "no arr_0, but images: give a .npz with arr_0", {"images": pixels(2, 4, 4, 3)}
    yield "holds float32 instead of uint8", {"arr_0": np.zeros((2, 4, 4, 3), np.float32)}
    yield "holds object instead of uint8", {"arr_0": np.array([Trap()], dtype=object)}
    yield r"an array \(2, 3, 4, 4\) and no images", {"arr_0": pixels(2, 3, 4, 4)}
    yield r"an array \(0, 4, 4, 3\) and no images", {"arr_0": pixels(0, 4, 4, 3)}
    yield r"an array \(2, 4\) and no images", {"arr_0": pixels(2, 4)}
    yield "in Fortran's order", {"arr_0": np.asfortranarray(pixels(2, 4, 4, 3))}


@pytest.mark.parametrize(("said", "arrays"), wrong_files(), ids=lambda value: value if isinstance(value, str) else "")
def test_other_arrays_are_refused_in_a_sentence(tmp_path, monkeypatch, said, arrays):
    monkeypatch.chdir(tmp_path)
    np.savez("x.npz", **arrays)
    with pytest.raises(UserError, match=said):
        NpzImages(Path("x.npz"))
    assert not Path("sprung").exists()


@pytest.mark.parametrize("labels", [np.arange(3), np.array([0.0, 1]), np.array([-1, 0]), np.array([Trap()] * 2)])
def test_other_labels_are_refused_in_a_sentence(tmp_path, monkeypatch, labels):
    monkeypatch.chdir(tmp_path)
    np.savez("x.npz", pixels(2, 4, 4, 3), labels)
    with pytest.raises(UserError, match=r"arr_1 of x.npz holds no labels .*: give one class number"):
        NpzImages(Path("x.npz")).labels  # noqa: B018
    assert not Path("sprung").exists()


def test_damaged_files_are_refused_in_a_sentence(tmp_path):
    path = tmp_path / "x.npz"
    with pytest.raises(UserError, match=r"does not exist: give a \.npz"):
        NpzImages(path)
    path.write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"cannot be read .*zip.*: give a \.npz"):
        NpzImages(path)
    with ZipFile(path, "w") as archive:
        archive.writestr("arr_0.npy", b"nothing")
    with pytest.raises(UserError, match="cannot be read"):
        NpzImages(path)
    np.savez(path, pixels(40, 16, 16, 3))
    whole = path.read_bytes()
    path.write_bytes(whole[:20_000] + bytes([whole[20_000] ^ 1]) + whole[20_001:])
    with pytest.raises(UserError, match=r"is damaged .*CRC.*: write it again"):
        list(NpzImages(path).render(spec(16, 3)))
    with ZipFile(tmp_path / "short.npz", "w") as archive:
        np.save(tmp_path / "x.npy", pixels(4, 8, 8, 3))
        archive.writestr("arr_0.npy", (tmp_path / "x.npy").read_bytes()[:-5])
    with pytest.raises(UserError, match="holds 763 bytes instead of 768"):
        NpzImages(tmp_path / "short.npz")
