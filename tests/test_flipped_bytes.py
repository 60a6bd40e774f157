"""A byte that changes in a file of ours is noticed: a checkpoint is refused, and what is cached is built anew."""

import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from variational import checkpoint

import gan_lab
from gan_lab.common.errors import UserError
from gan_lab.common.integrity import seal_zip
from gan_lab.data.loading.cache import render
from gan_lab.data.reading.files import ImageFolder
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.evaluation.cache import cached
from gan_lab.training.checkpoint import AtomicCheckpointIO, read

FLIPS = 100


def flips(path, count=FLIPS):
    """Flips one bit in one byte after another, evenly spaced, with the first and last ten; repairs the file after."""
    whole = path.read_bytes()
    places = {*np.linspace(0, len(whole) - 1, count - 20).astype(int).tolist(), *range(10), *range(-10, 0)}
    for number, place in enumerate(sorted(places)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << (number % 8)
        path.write_bytes(damaged)
        yield place
    path.write_bytes(whole)


@pytest.fixture
def saved(tmp_path):
    """A checkpoint as training writes it, beside another one."""
    contents = torch.load(checkpoint(tmp_path / "made"))
    (tmp_path / "made").unlink()
    for name in ("best.ckpt", "last.ckpt"):
        AtomicCheckpointIO().save_checkpoint(contents, tmp_path / name)
    return tmp_path / "last.ckpt"


def test_a_changed_checkpoint_is_refused_and_another_one_named(saved):
    best = saved.with_name("best.ckpt")
    for place in flips(saved):
        with pytest.raises(UserError) as error:
            read(saved)
        sentence = f"{saved} is damaged or truncated, or is not a checkpoint of gan_lab: give {best}, which is whole."
        assert str(error.value) == sentence, place
    assert gan_lab.load(saved).eval()
    saved.write_bytes(saved.read_bytes()[:-100])
    best.write_bytes(best.read_bytes()[:-100])
    with pytest.raises(UserError, match="give another, or a copy of it"):
        read(saved)


def test_changes_that_cancel_in_a_sum_are_found(saved):
    whole = saved.read_bytes()
    place = len(whole) // 2
    flipped, swapped = bytearray(whole), bytearray(whole)
    flipped[place] ^= 128
    flipped[place + 400] ^= 128
    swapped[1024:1536], swapped[1536:2048] = whole[1536:2048], whole[1024:1536]
    for damaged in (flipped, swapped):
        assert damaged != whole
        saved.write_bytes(damaged)
        with pytest.raises(UserError, match="is damaged or truncated"):
            read(saved)


def test_plain_pytorch_reads_a_checkpoint(saved):
    contents = torch.load(saved, weights_only=True, mmap=True)
    assert contents.keys() == read(saved).keys() and seal_zip(saved) is None
    assert read(saved)["gan_lab"] == contents["gan_lab"], "a second seal changes nothing"


def test_weights_of_a_checkpoint_without_a_seal_are_verified(tmp_path):
    path = checkpoint(tmp_path / "old.ckpt")
    assert gan_lab.load(path)
    found, whole = 0, read(path)["state_dict"]
    for _ in flips(path):
        try:
            same = all(torch.equal(value, whole[name]) for name, value in read(path)["state_dict"].items())
        except UserError:
            found += 1
        else:
            assert same, "bytes between the members may change"
    assert found > FLIPS / 2


@pytest.fixture
def images(tmp_path, monkeypatch):
    monkeypatch.setenv("GAN_LAB_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(6):
        noise = np.random.default_rng(number).integers(0, 256, (9, 9, 3), np.uint8)
        Image.fromarray(noise).save(folder / f"{number}.png")
    return folder


def rendered(folder):
    return render(ImageFolder(str(folder)).splits()["all"], ResizeSpec((8, 8), (8, 8), 3))


@pytest.mark.parametrize(
    ("suffix", "sentence"),
    [
        (".u8", "The cached pixels .* cannot be used .*, and are built anew"),
        (".npz", "The cached pixels .* cannot be used .*, and are built anew"),
        (".content", "The cached hash .* cannot be used .*, and is computed anew"),
    ],
)
def test_changed_pixels_are_rendered_again(images, tmp_path, suffix, sentence):
    whole = rendered(images)
    pixels, fingerprint = whole.pixels.copy(), whole.fingerprint()
    (file,) = (tmp_path / "cache").rglob(f"*{suffix}")
    for place in flips(file, FLIPS):
        with pytest.warns(UserWarning, match=sentence) as said:
            again = rendered(images)
        assert len(said) == 1, place
        assert np.array_equal(again.pixels, pixels) and again.fingerprint() == fingerprint
        assert again.scan == whole.scan
    assert len([*(tmp_path / "cache").rglob("*.*")]) == 3


def test_changed_statistics_are_computed_again(tmp_path):
    state = {"x": torch.arange(30.0), "n": torch.tensor(3)}
    cached(["key"], lambda: state, tmp_path)
    (file,) = tmp_path.rglob("*.safetensors")
    for place in flips(file):
        with pytest.warns(UserWarning, match="cannot be read .* computed anew") as said:
            found = cached(["key"], lambda: state, tmp_path)
        assert len(said) == 1 and all(torch.equal(found[name], state[name]) for name in state), place
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cached(["key"], pytest.fail, tmp_path)["n"] == 3


def test_the_cache_of_an_earlier_version_is_used_or_built_anew(images, tmp_path):
    rendered(images)
    (file,) = (tmp_path / "cache").rglob("*.npz")
    with np.load(file) as kept:
        np.savez(file, **{name: kept[name] for name in kept if name != "checksum"})
    (known,) = (tmp_path / "cache").rglob("*.content")
    known.write_bytes(known.read_bytes()[:32])
    with pytest.warns(UserWarning, match="another checksum, or none") as said:
        rendered(images)
    assert len(said) == 1
