import pickle
from itertools import islice, product
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

from gan_lab.cli.config.compose import compose
from gan_lab.common.capabilities import RealClips
from gan_lab.common.errors import UserError
from gan_lab.common.instantiate import instantiate
from gan_lab.common.trust import DATA_MODULES
from gan_lab.data import presets
from gan_lab.data.modules.clips import ClipBatches, ClipsDataModule
from gan_lab.data.sources.clip_arrays import ArrayClips
from gan_lab.data.sources.moving import MovingDigits
from gan_lab.data.sources.recording_files import Recording

OPTIONS = {"stride": 1, "hop": 1, "split_seed": 0, "cache": "memory", "cache_dir": None}


def numbered(*scenes, first=0, size=4):
    """Grey frames (T, 4, 4) whose level is their number, given the number of frames in each scene.

    Frames of every second scene are 128 levels above the others.
    """
    scene = np.repeat(np.arange(len(scenes)), scenes)
    levels = [first + 128 * (k % 2) + np.sum(scene[:t] % 2 == k % 2) for t, k in enumerate(scene)]
    return np.tile(np.array(levels).astype(np.uint8)[:, None, None], (1, size, size))


def root(tmp_path, **recordings):
    for name, frames in recordings.items():
        path = tmp_path / "recordings" / f"{name.replace('__', '/')}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, frames)
    return str(tmp_path / "recordings")


def module(folder, **options):
    shape = {"name": "r", "channels": 1, "size": 4, "length": 5, "batch_size": 2}
    return presets.frames(folder, **OPTIONS | shape | options)


def levels(data, split, limit=None):
    return [clip[:, 0, 0, 0].tolist() for batch in data.clips(split, limit) for clip in batch]


def frames_in(clips):
    return {level for clip in clips for level in clip}


def test_the_module_satisfies_its_capability(tmp_path):
    data = module(root(tmp_path, a=numbered(60)))
    assert isinstance(data, RealClips)
    assert (data.channels, data.height, data.width, data.length, data.classes) == (1, 4, 4, 5, 0)
    first = next(data.clips("test", 1))
    assert first.shape == (1, 5, 1, 4, 4) and first.dtype == torch.uint8
    assert len(levels(data, "train", 40)) == 40 and levels(data, "train", 0) == []
    assert {split: data.count(split) for split in ("train", "test")} == {"train": 50, "test": 1}
    described = data.describe()
    assert described["splits"]["train"]["count"] == 50 and described["stride"] == 1 and described["length"] == 5
    assert described["splits"]["test"]["found"].startswith("1 clip of 5 frames, from 1 recording with 6 frames, 4×4")
    with pytest.raises(UserError, match=r"data\.split=whole "):
        data.count("whole")


def test_every_start_is_a_clip_and_test_clips_follow_each_other(tmp_path):
    folder = root(tmp_path, train__a=numbered(12), test__b=numbered(12, first=100))
    data = module(folder)
    assert levels(data, "train") == [list(range(start, start + 5)) for start in range(8)]
    assert levels(data, "test") == [list(range(start, start + 5)) for start in (100, 105)]
    assert levels(module(folder, hop=3), "train") == [list(range(start, start + 5)) for start in (0, 3, 6)]
    spread = module(folder, stride=3, length=3)
    assert levels(spread, "train") == [[start, start + 3, start + 6] for start in range(6)]
    assert levels(spread, "test") == [[100, 103, 106]]


@pytest.mark.parametrize(("count", "length", "stride"), [(60, 5, 1), (50, 5, 1), (12, 6, 1), (95, 4, 3), (200, 3, 2)])
def test_the_last_tenth_is_held_out(tmp_path, count, length, stride):
    data = module(root(tmp_path, a=numbered(count)), length=length, stride=stride)
    train, test = levels(data, "train"), levels(data, "test")
    border, span = count - max(round(count / 10), (length - 1) * stride + 1), (length - 1) * stride
    assert train == [list(range(s, s + span + 1, stride)) for s in range(border - span)]
    assert test == [list(range(s, s + span + 1, stride)) for s in range(border, count - span, span + 1)]
    assert train and test and not frames_in(train) & frames_in(test)


@pytest.mark.parametrize("scenes", [(30, 8, 40), (40, 6), (40, 3), (40, 3, 3), (5, 90, 5, 2), (7, 7)])
def test_no_clip_crosses_a_scene_change(tmp_path, scenes):
    """Within a scene, levels rise by one from frame to frame."""
    frames = numbered(*scenes)
    data = module(root(tmp_path, a=frames))
    train, test = levels(data, "train"), levels(data, "test")
    assert train and test and not frames_in(train) & frames_in(test)
    assert all(np.diff(np.array(clip, int)).tolist() == [1] * 4 for clip in train + test)
    border = min(frames[:, 0, 0].tolist().index(test[0][0]), len(frames) - round(len(frames) / 10))
    whole = [frames[start : start + 5, 0, 0].astype(int).tolist() for start in range(border - 4)]
    assert train == [clip for clip in whole if np.ptp(clip) == 4]


def test_recordings_with_room_for_one_clip_go_to_one_split(tmp_path):
    folder = root(tmp_path, **{f"r{i}": numbered(6, first=10 * i) for i in range(20)})
    data = module(folder)
    train, test = frames_in(levels(data, "train")), frames_in(levels(data, "test"))
    assert (data.count("train"), data.count("test")) == (18 * 2, 2)
    assert not train & test and {level // 10 for level in train | test} == set(range(20))
    assert levels(module(folder, seed=1), "test") == levels(data, "test")
    assert levels(module(folder, split_seed=1), "test") != levels(data, "test")


def test_short_recordings_are_left_out_with_a_warning(tmp_path):
    data = module(root(tmp_path, a=numbered(60), b=numbered(4, first=200), c=numbered(3, 3, first=100)))
    with pytest.warns(UserWarning, match=r"2 recordings without 5 frames of one scene, .* left out: b\.npy, c\.npy"):
        data.prepare_data()
    assert frames_in(levels(data, "train")) | frames_in(levels(data, "test")) == set(range(59))


@pytest.mark.parametrize(
    ("recordings", "options", "what"),
    [
        (
            {"a": numbered(9), "b": numbered(3)},
            {},
            r"a\.npy, has 9 frames of one scene, so give data\.length=4 or less",
        ),
        (
            {"a": numbered(6), "b": numbered(5)},
            {"length": 6},
            r"a\.npy, has 6 .* so give data\.length=5 or less, or longer",
        ),
        ({"a": numbered(9)}, {"stride": 3}, r"data\.length=5 at data\.stride=3: .* has 9 .* data\.length=2 or less"),
        ({"a": numbered(4, 7, 3)}, {}, r"a\.npy, has 7 frames of one scene, so give data\.length=4 or less"),
        (
            {"train__a": numbered(9), "test__b": numbered(3)},
            {},
            r"room for a clip .*b\.npy, has 3 .* data\.length=3 or",
        ),
        ({"a": numbered(1)}, {}, r"has 1 frame of one scene, so give longer recordings"),
    ],
)
def test_the_error_for_short_recordings_gives_a_length_that_works(tmp_path, recordings, options, what):
    with pytest.raises(UserError, match=what) as refusal:
        module(root(tmp_path, **recordings), **options).setup("fit")
    assert "\n" not in str(refusal.value)


@pytest.mark.filterwarnings("ignore:.*are left out")
@pytest.mark.parametrize(("counts", "stride"), product([(9, 3), (6, 5), (11, 4, 9), (7, 7, 7)], [1, 2]))
def test_the_length_in_the_error_is_the_longest_that_works(tmp_path, counts, stride):
    folder = root(tmp_path, **{f"r{i}": numbered(count, first=20 * i) for i, count in enumerate(counts)})
    with pytest.raises(UserError) as refusal:
        module(folder, length=12, stride=stride).setup("fit")
    longest = int(str(refusal.value).rpartition("data.length=")[2].split()[0])
    data = module(folder, length=longest, stride=stride)
    assert data.count("train") and data.count("test")
    with pytest.raises(UserError):
        module(folder, length=longest + 1, stride=stride).setup("fit")


def at(data, rank=0, world_size=1, iteration=0):
    counted = SimpleNamespace(iteration=iteration, batches_per_iteration=1)
    data.trainer = SimpleNamespace(global_rank=rank, world_size=world_size, lightning_module=counted)
    return data


SETS = {
    "frames": lambda folder, **options: module(folder, flip=True, batch_size=4, **options),
    "moving": lambda folder, **options: presets.moving_digits(
        **{"root": None, "count": 12, "test_count": 2, "digits": 1, "speed": [2, 5], "test_file": None},
        **{"split_seed": 0, "name": "m", "channels": 1, "size": 32, "length": 3, "batch_size": 4, "flip": True},
        **options,
    ),
}


@pytest.mark.parametrize("kind", SETS)
def test_batches_do_not_depend_on_ranks_workers_or_resuming(tmp_path, kind):
    folder = root(tmp_path, a=np.random.default_rng(0).integers(0, 256, (24, 4, 4), np.uint8))
    data = SETS[kind](folder)
    batches = [batch["frames"] for batch in islice(data.train_dataloader(), 8)]
    assert batches[0].shape == (4, data.length, 1, data.height, data.width) and batches[0].dtype == torch.uint8
    parts = [islice(at(data, rank, 2).train_dataloader(), 8) for rank in range(2)]
    shared = [torch.cat([part["frames"] for part in pair]) for pair in zip(*parts, strict=True)]
    late = [batch["frames"] for batch in islice(at(data, iteration=5).train_dataloader(), 3)]
    working = [batch["frames"] for batch in islice(SETS[kind](folder, workers=1).train_dataloader(), 8)]
    for others in (shared, working):
        assert all(torch.equal(one, other) for one, other in zip(batches, others, strict=True))
    assert all(torch.equal(one, other) for one, other in zip(batches[5:], late, strict=True))
    other = next(iter(SETS[kind](folder, seed=1).train_dataloader()))["frames"]
    assert not torch.equal(other, batches[0])


def test_training_batches_are_floats_in_minus_one_to_one():
    data = presets.fake_clips(6, name="f", channels=3, size=[4, 6], length=3, batch_size=6)
    batch = next(iter(data.train_dataloader()))
    ready = data.on_after_batch_transfer(batch, 0)["frames"]
    assert ready.dtype == torch.float32 and ready.shape == (6, 3, 3, 4, 6)
    assert torch.allclose(ready, batch["frames"] / 127.5 - 1, atol=1e-6) and ready.abs().max() <= 1
    assert (data.count("train"), data.count("test")) == (6, 3)
    known = {clip.numpy().tobytes() for clips in data.clips("train") for clip in clips}
    assert {clip.numpy().tobytes() for clip in batch["frames"]} == known


def test_a_flip_mirrors_the_whole_clip():
    clips = np.random.default_rng(0).integers(0, 256, (600, 3, 1, 2, 4), np.uint8)
    found = ClipBatches(ArrayClips(clips, ""), True, 0)[0, np.arange(600)]["frames"].numpy()
    mirrored, kept = (found == clips[..., ::-1]).all((1, 2, 3, 4)), (found == clips).all((1, 2, 3, 4))
    assert (mirrored ^ kept).all() and 240 < mirrored.sum() < 360
    again = ClipBatches(ArrayClips(clips, ""), True, 0)[1, np.arange(600)]["frames"].numpy()
    assert not np.array_equal(again, found)
    assert np.array_equal(ClipBatches(ArrayClips(clips, ""), False, 0)[0, np.arange(9)]["frames"], clips[:9])


def test_the_fingerprint_depends_on_the_clips_alone(tmp_path):
    frames = numbered(40)
    folder = root(tmp_path, a=frames)
    known = {split: module(folder).fingerprint(split) for split in ("train", "test")}
    assert known == {split: module(folder, seed=3, flip=True).fingerprint(split) for split in known}
    moved = root(tmp_path / "other", train__a=frames[:35], test__b=frames[35:])
    assert known == {split: module(moved).fingerprint(split) for split in known}
    frames[36, 0, 0] += 1
    changed = module(root(tmp_path / "third", a=frames))
    assert changed.fingerprint("test") != known["test"] and changed.fingerprint("train") == known["train"]
    assert len({module(folder, **o).fingerprint("train") for o in ({"hop": 2}, {"length": 4}, {"stride": 2}, {})}) == 4
    assert {split: each["hash"] for split, each in module(folder).identities().items()} == known
    one, other = (ArrayClips(np.full((2, 3, 1, 4, 4), value, np.uint8), "").fingerprint() for value in (1, 2))
    assert one != other


class Labelled:
    def __init__(self, labels):
        self.facts = {}
        self.clips = ArrayClips(np.zeros((4, 2, 1, 4, 4), np.uint8), "", np.array(labels), 2, ("cat", "dog"))

    def splits(self, *_):
        return {"train": self.clips, "test": self.clips}


def test_clips_with_classes_have_their_names_and_are_known_again_by_them():
    shape = {"name": "l", "channels": 1, "size": 4, "length": 2, "batch_size": 2}
    one, other = (ClipsDataModule(Labelled(labels), **shape, classes=2) for labels in ([0, 1, 0, 1], [0, 1, 1, 0]))
    assert one.class_names == one.describe()["class_names"] == ["cat", "dog"]
    assert one.identities() != other.identities()
    plain = [ClipsDataModule(each.source, **shape) for each in (one, other)]
    assert plain[0].identities() == plain[1].identities()
    assert plain[0].class_names == [] and "class_names" not in plain[0].describe()


@pytest.mark.parametrize(("digits", "names"), [(1, [*"0123456789"]), (2, [])])
def test_clips_of_one_moving_digit_have_its_name(digits, names):
    source = MovingDigits(None, 4, 2, digits)
    data = ClipsDataModule(source, "m", channels=1, size=64, length=2, batch_size=2, classes=len(names))
    assert data.class_names == names


def test_decoded_frames_are_cached_on_disk(tmp_path, monkeypatch, cache_folder):
    folder = root(tmp_path, a=numbered(40))
    first = module(folder, cache="auto")
    assert levels(first, "train") == levels(module(folder), "train")
    assert list(cache_folder.glob("pixels/*.u8"))
    monkeypatch.setattr(Recording, "render", lambda *_: pytest.fail("decoded again"))
    again = module(folder, cache="disk")
    assert levels(again, "test") == levels(first, "test") and again.fingerprint("test") == first.fingerprint("test")
    assert next(iter(again.train_dataloader()))["frames"].shape == (2, 5, 1, 4, 4)
    sent = pickle.dumps(again.splits["train"])  # to a worker that shares no memory: the file's name, not its pixels
    assert numbered(40)[3:8].tobytes() not in sent
    rows = np.arange(3)
    assert np.array_equal(pickle.loads(sent).take(0, rows), first.splits["train"].take(0, rows))


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"size": 0}, r"data\.size=0 "),
        ({"length": 0}, r"data\.length=0 "),
        ({"channels": 2}, r"data\.channels=2 "),
        ({"stride": 0}, r"data\.stride=0 "),
        ({"hop": 0}, r"data\.hop=0 "),
        ({"cache": "ram"}, r"data\.cache=ram .*auto, memory, disk"),
        ({"classes": 2}, r"data\.classes=2 .*no classes"),
        ({"batch_size": 500}, "fewer than batch_size=500"),
    ],
)
def test_invalid_values_are_refused_in_one_sentence(tmp_path, options, what):
    with pytest.raises(UserError, match=what) as refusal:
        module(root(tmp_path, a=numbered(40)), **options).train_dataloader()
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ["moving_digits", "frames", "fake_clips"])
def test_configurations_build_their_module(tmp_path, name):
    changes = ["batch_size=2", *([f"data.root={root(tmp_path, a=numbered(60))}"] if name == "frames" else [])]
    stated = OmegaConf.to_container(compose([f"data={name}", *changes]).data, resolve=True)
    data = instantiate(stated, DATA_MODULES)
    batch = next(iter(data.train_dataloader()))["frames"]
    assert data.name == name and stated["classes"] == 0
    assert batch.shape == (2, stated["length"], stated["channels"], stated["size"], stated["size"])


def test_clips_of_a_real_video(shared_data):
    file = shared_data / "bunny-clip/bunny_64x64.npz"
    data, known = module(str(file), channels=3, size=64, length=20), np.load(file)["frames"].transpose(0, 3, 1, 2)
    assert (data.count("train"), data.count("test")) == (196, 1)
    assert np.array_equal(next(data.clips("test"))[0], known[215:235])  # the last scene has five frames
    train = torch.cat(list(data.clips("train")))
    assert all(np.array_equal(train[start], known[start : start + 20]) for start in (0, 100, 195))


def test_the_summary_names_what_is_not_converted(tmp_path):
    frames = [Image.new("L", (16, 16), level) for level in range(10, 20)]
    durations = [40] * 9 + [600_000]
    (tmp_path / "recordings").mkdir()
    frames[0].save(tmp_path / "recordings" / "a.gif", save_all=True, append_images=frames[1:], duration=durations)
    data = module(str(tmp_path / "recordings"))
    data.setup("fit")
    assert data.describe()["splits"]["train"]["found"].endswith("; a standstill cut to 1,000 frames (1,000)")
