import math
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from gan_lab.common.capabilities import RealClips
from gan_lab.common.errors import UserError
from gan_lab.data import presets
from gan_lab.data.loading.keyed_random import keyed_uniform
from gan_lab.data.loading.rendered import Rendered
from gan_lab.data.reading.image_sets import Scan
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.data.sources.moving import MovingDigitClips, read_test_file

OPTIONS = {"root": None, "count": 40, "test_count": 6, "digits": 2, "speed": [2, 5], "test_file": None, "split_seed": 0}


def moving(**options):
    shape = {"name": "m", "channels": 1, "size": 40, "length": 5, "batch_size": 4}
    return presets.moving_digits(**OPTIONS | shape | options)


def pool(n=10):
    """Random digits of classes 0, 1, …, n - 1; all pixels of a digit exceed those of the digits before."""
    noise = np.random.default_rng(0).integers(1, 20, (n, 1, 28, 28), np.uint8)
    pixels = noise + 20 * np.arange(n, dtype=np.uint8)[:, None, None, None]
    frame = ResizeSpec((28, 28), (28, 28), 1)
    return Rendered(pixels, np.zeros((n, 16), np.uint8), np.arange(n), Scan(), frame)


def made(shape=(6, 40, 48), digits=2, speed=(2.0, 5.0), seed=3, split=0):
    return MovingDigitClips(pool(), 100, shape, digits, speed, seed, split)


def pixels(data, split, limit=None):
    return torch.cat(list(data.clips(split, limit)))


def bounced(position, velocity, room):
    position += velocity
    if position < 0:
        return -position, -velocity
    if position > room:
        return 2 * room - position, -velocity
    return position, velocity


def simulated(moving, epoch, row):
    """One clip, frame by frame."""
    frames, height, width = moving.shape
    clip = np.zeros(moving.shape, np.uint8)
    for digit in range(moving.digits):
        draw = [keyed_uniform(np.array([row]), moving.seed, epoch, moving.split, what, digit)[0] for what in range(5)]
        image = moving.pixels[int(draw[0] * len(moving.pixels))]
        y, x = draw[1] * (height - 28), draw[2] * (width - 28)
        speed = moving.speed[0] + (moving.speed[1] - moving.speed[0]) * draw[4]
        up, along = speed * math.sin(2 * math.pi * draw[3]), speed * math.cos(2 * math.pi * draw[3])
        for frame in range(frames):
            for i in range(28):
                for j in range(28):
                    place = frame, round(y) + i, round(x) + j
                    clip[place] = max(clip[place], image[i, j])
            y, up = bounced(y, up, height - 28)
            x, along = bounced(x, along, width - 28)
    return clip


def test_clips_are_those_of_a_plain_simulation():
    moving = made()
    found = moving.take(2, np.array([5, 61]))
    assert found.shape == (2, 6, 1, 40, 48) and found.dtype == np.uint8
    for row, clip in zip((5, 61), found, strict=True):
        assert np.array_equal(clip[:, 0], simulated(moving, 2, row))


def test_batches_of_clips_of_one_digit_have_its_class():
    batch = next(iter(moving(digits=1, classes=10).train_dataloader()))
    assert batch["label"].shape == (len(batch["frames"]),) and batch["label"].dtype == torch.int64
    clips, rows = moving(digits=1).splits["train"], np.arange(30)
    assert (
        np.array_equal(clips.label(1, rows), clips.classes_of((1, rows))[:, 0]) and len(set(clips.label(1, rows))) > 3
    )


@pytest.mark.parametrize("speed", [(2.0, 5.0), (40.0, 90.0), (0.0, 0.0)])
def test_digits_never_leave_the_frame_and_reach_its_borders(speed):
    places = made((20, 35, 70), 3, speed).positions((0, np.arange(400)))
    assert places.shape == (400, 3, 20, 2)
    assert places.min((0, 1, 2)).tolist() == [0, 0] and places.max((0, 1, 2)).tolist() == [7, 42]


def test_speeds_are_in_their_range_and_directions_go_everywhere():
    places = made((9, 9000, 9000), 1).positions((0, np.arange(500)))[:, 0]
    inside = ((places[:, 0] > 50) & (places[:, 0] < 8922)).all(1)
    moved = (places[:, -1] - places[:, 0])[inside] / 8
    speeds = np.hypot(*moved.T)
    assert len(speeds) > 480 and speeds.min() > 1.8 and speeds.max() < 5.2 and 3.3 < speeds.mean() < 3.7
    assert np.histogram(np.arctan2(*moved.T), 8, (-math.pi, math.pi))[0].min() > 35


def test_a_clip_depends_on_its_key_alone():
    moving = made()
    rows = np.random.default_rng(0).permutation(30)
    together = moving.take(1, rows)
    assert all(np.array_equal(moving.take(1, rows[i : i + 1])[0], together[i]) for i in range(0, 30, 7))
    others = [moving.take(2, rows), made(seed=4).take(1, rows), made(split=1).take(1, rows)]
    assert all(not np.array_equal(clip, other) for found in others for clip, other in zip(together, found, strict=True))


def test_the_classes_of_a_clips_digits():
    moving, rows = made(digits=2), np.arange(60)
    clips, classes = moving.take(0, rows), moving.classes_of((0, rows))
    assert classes.shape == (60, 2) and set(classes.ravel()) == set(range(10))
    assert np.array_equal(clips.max((1, 2, 3, 4)) // 20, classes.max(1))


def test_the_module_satisfies_its_capability():
    data = moving()
    assert isinstance(data, RealClips)
    assert (data.count("train"), data.count("test")) == (40, 6)
    assert pixels(data, "train").shape == (40, 5, 1, 40, 40) and pixels(data, "test", 4).shape == (4, 5, 1, 40, 40)
    assert torch.equal(pixels(data, "train", 3), pixels(moving(), "train", 3))
    described = data.describe()
    assert described["length"] == 5 and described["splits"]["test"]["count"] == 6
    assert described["speed"] == [2.0, 5.0] and described["from"] == "Digits"


def test_the_test_clips_are_the_same_for_every_seed():
    one, other = moving(seed=1), moving(seed=2)
    assert torch.equal(pixels(one, "test"), pixels(other, "test"))
    assert one.fingerprint("test") == other.fingerprint("test") != moving(split_seed=1).fingerprint("test")
    assert not torch.equal(pixels(one, "train"), pixels(other, "train"))
    assert one.fingerprint("train") != other.fingerprint("train")


def test_no_digit_is_in_both_splits():
    from sklearn.datasets import load_digits

    splits = moving().splits
    train, test = ({tuple(digit.ravel()) for digit in splits[split].pixels} for split in ("train", "test"))
    assert len(splits["test"].pixels) == 180 and len(splits["train"].pixels) == 1617
    assert not train & test
    classes = np.concatenate([splits[split].labels for split in ("train", "test")])
    assert np.array_equal(np.bincount(classes), np.bincount(load_digits().target))
    assert set(moving(split_seed=1).splits["test"].labels.tolist()) == set(range(10))


def test_training_and_test_do_not_move_alike():
    splits = moving(count=6).splits
    rows = np.arange(6)
    assert not np.array_equal(splits["train"].positions((0, rows)), splits["test"].positions((0, rows)))


def test_it_is_fast_enough():
    moving = made((20, 64, 64))
    begun = time.process_time()
    moving.take(0, np.arange(200))
    assert 200 / (time.process_time() - begun) > 500


def write(tmp_path, frames, name="clips.npz"):
    path = tmp_path / name
    np.save(path, frames) if name.endswith(".npy") else np.savez(path, frames)
    return str(path)


def drifting(clips=8, frames=7, size=40):
    """(T, N, H, W): in each clip another bright column, which moves by a pixel a frame."""
    found = np.zeros((frames, clips, size, size), np.uint8)
    for frame, clip in np.ndindex(frames, clips):
        found[frame, clip, :, 4 * clip + frame % 4 : 4 * clip + 4] = 200
    return found


@pytest.mark.parametrize("name", ["clips.npz", "clips.npy"])
def test_a_file_replaces_the_test_clips(tmp_path, name):
    frames = np.random.default_rng(0).integers(0, 256, (7, 3, 40, 40), np.uint8)
    data = moving(test_file=write(tmp_path, frames, name))
    assert data.count("test") == 3 and data.count("train") == 40
    assert np.array_equal(pixels(data, "test")[:, :, 0], frames[:5].swapaxes(0, 1))
    assert data.fingerprint("test") != moving().fingerprint("test")
    assert data.fingerprint("train") == moving().fingerprint("train")
    assert data.describe()["test"] == name


def test_the_order_of_the_axes_is_seen_in_the_pixels(tmp_path):
    for clips in (4, 8, 30):
        frames = drifting(clips, size=124)
        assert moving(test_file=write(tmp_path, frames), size=124, length=4).count("test") == clips


@pytest.mark.parametrize(
    ("frames", "what"),
    [
        (drifting().swapaxes(0, 1), r"shape \(8, 7, 40, 40\), which is evidently \(N, T, H, W\): give \(T, N, H, W\)"),
        (np.zeros((50, 7, 40, 40), np.uint8), r"is evidently \(N, T, H, W\)"),
        (np.zeros((3, 7, 40, 40), np.uint8), r"is evidently \(N, T, H, W\)"),
        (np.zeros((4, 3, 40, 40), np.uint8), r"clips of 4 frames, fewer than data\.length=5: give data\.length=4 or"),
        (np.zeros((7, 3, 32, 48), np.uint8), r"frames of 48×32, not 40×40: give data\.size=\[32,48\]"),
        (np.zeros((7, 3, 40, 40), np.float32), r"float32 of shape .*give uint8 of shape \(T, N, H, W\)"),
        (np.zeros((7, 40, 40), np.uint8), r"uint8 of shape \(7, 40, 40\): give uint8"),
    ],
)
def test_bad_files_are_refused_in_one_sentence(tmp_path, frames, what):
    with pytest.raises(UserError, match=what) as refusal:
        moving(test_file=write(tmp_path, frames)).setup("fit")
    assert "\n" not in str(refusal.value) and "data.test_file=" in str(refusal.value)


def test_files_that_cannot_be_read_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.npy does not exist"):
        moving(test_file=str(tmp_path / "nowhere.npy")).setup("fit")
    (tmp_path / "clip.gif").write_bytes(b"GIF89a")
    with pytest.raises(UserError, match=r"clip\.gif cannot be read \(no array of numbers\)"):
        moving(test_file=str(tmp_path / "clip.gif")).setup("fit")
    np.savez(tmp_path / "two.npz", a=np.zeros(3), b=np.zeros(3))
    with pytest.raises(UserError, match=r"two\.npz has several arrays and none is called arr_0"):
        moving(test_file=str(tmp_path / "two.npz")).setup("fit")


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"size": 28}, r"28×28 pixels in a larger frame: give .*data\.size=64"),
        ({"channels": 3}, r"grey.*data\.channels=1"),
        ({"digits": 0}, r"data\.digits=0 "),
        ({"length": 0}, r"data\.length=0 "),
        ({"speed": [5, 2]}, r"data\.speed=\[5, 2\] .*such as \[2,5\]"),
        ({"speed": [2, float("inf")]}, r"data\.speed=\[2, inf\] "),
        ({"speed": 3}, r"data\.speed=3 "),
        ({"speed": "25"}, r"data\.speed=25 "),
        ({"classes": 10}, r"data\.classes=10 .*no classes.*give 0"),
        ({"classes": 5, "digits": 1}, r"data\.classes=5 .*have 10 classes: give 10"),
        ({"batch_size": 50}, "fewer than batch_size=50"),
    ],
)
def test_invalid_values_are_refused_in_one_sentence(options, what):
    with pytest.raises(UserError, match=what) as refusal:
        moving(**options).train_dataloader()
    assert "\n" not in str(refusal.value)


def last_and_black(clips):
    """Summed squared errors a frame, pixels in [0, 1], of frames 11 to 20: of the tenth repeated, and of black."""
    clips = clips[:, :, 0].double() / 255
    later = clips[:, 10:]
    return [((later - guess) ** 2).sum((2, 3)).mean().item() for guess in (clips[:, 9:10], 0)]


def test_mnist_moves_as_in_the_file(shared_data, tmp_path):
    """The file was generated by other code: both errors of ours must be as large."""
    file = shared_data / "moving-mnist-derived/moving_mnist_400.npz"
    options = {"root": str(shared_data / "mnist"), "size": 64, "length": 20, "test_count": 400}
    data, known = moving(**options), moving(**options, test_file=str(file))
    assert known.count("test") == 400
    assert last_and_black(pixels(known, "test")) == pytest.approx([283.304, 176.369], abs=1e-3)
    assert last_and_black(pixels(data, "test")) == pytest.approx([283.3, 176.4], rel=0.05)
    splits = data.splits
    assert (len(splits["train"].pixels), len(splits["test"].pixels)) == (60_000, 10_000)
    swapped = write(tmp_path, np.load(file)["arr_0"][:, :30].swapaxes(0, 1))
    with pytest.raises(UserError, match=r"is evidently \(N, T, H, W\)"):
        read_test_file(Path(swapped), ResizeSpec((64, 64), (64, 64), 1), 20)
