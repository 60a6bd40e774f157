import sys
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from gan_lab.common.errors import UserError
from gan_lab.common.images import save_animation
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.data.reading.scenes import scene_cuts
from gan_lab.data.sources import recording_files
from gan_lab.data.sources.recording_files import find_recording, find_recordings, natural_key, read_recording


def frame(height=16, width=16, channels=3):
    return ResizeSpec((height, width), (height, width), channels)


def clip(count=6, height=16, width=16, channels=3):
    """A smooth image whose brightness identifies the frame, uint8 (T, C, H, W)."""
    ramp = np.linspace(0, 60, width)[None] + np.linspace(0, 40, height)[:, None]
    levels = 20 + 10 * np.arange(count)
    return (levels[:, None, None, None] + ramp + 10 * np.arange(channels)[:, None, None]).astype(np.uint8)


def save_stills(folder, frames, names=None, ending="png"):
    folder.mkdir(parents=True, exist_ok=True)
    for number, pixels in enumerate(frames):
        name = names[number] if names else f"frame{number + 1}"
        Image.fromarray(pixels.transpose(1, 2, 0)).save(folder / f"{name}.{ending}")
    return folder


@pytest.mark.parametrize("layout", ["THW", "THW1", "T1HW", "THW3", "T3HW"])
@pytest.mark.parametrize("ending", ["npy", "npz"])
def test_arrays_in_every_layout(tmp_path, layout, ending):
    frames = clip(channels=3 if "3" in layout else 1)
    stored = frames.transpose(0, 2, 3, 1) if layout[-1] in "13" else frames
    stored = frames[:, 0] if layout == "THW" else stored
    file = tmp_path / f"a.{ending}"
    np.save(file, stored) if ending == "npy" else np.savez(file, other=np.zeros(3), frames=stored)
    found = read_recording(file, frame(channels=frames.shape[1]))
    assert found.dtype == np.uint8 and np.array_equal(found, frames)


def test_the_only_array_of_an_archive_needs_no_name(tmp_path):
    np.savez(tmp_path / "a.npz", clip(channels=1)[:, 0])
    assert np.array_equal(read_recording(tmp_path / "a.npz", frame(channels=1)), clip(channels=1))


@pytest.mark.parametrize(("ending", "tolerance"), [("gif", 6), ("webp", 6), ("png", 0)])
def test_animations(tmp_path, ending, tolerance):
    frames = clip()
    save_animation(tmp_path / f"a.{ending}", torch.from_numpy(frames))
    found = read_recording(tmp_path / f"a.{ending}", frame())
    assert found.shape == frames.shape
    assert np.abs(found.astype(int) - frames).mean() <= tolerance


@pytest.mark.parametrize(("ending", "tolerance"), [("gif", 6), ("webp", 6), ("png", 0), ("mp4", 4)])
@pytest.mark.parametrize("fps", [8, 12, 30])
def test_what_was_written_comes_back_frame_by_frame(tmp_path, ending, tolerance, fps):
    frames = clip(8)[[0, 0, 1, 1, 2, 2, 3, 3, 3, 3, 3, 3, 4, 4, 5, 5]]
    save_animation(tmp_path / f"a.{ending}", torch.from_numpy(frames), fps)
    found = read_recording(tmp_path / f"a.{ending}", frame())
    assert found.shape == frames.shape
    assert np.abs(found.astype(int) - frames).mean((1, 2, 3)).max() <= tolerance


@pytest.mark.parametrize("ending", ["gif", "webp", "png"])
def test_frames_that_another_program_merged_are_repeated(tmp_path, ending):
    rows = [0, 1, 1, 1, 2, 3, 3, 4]
    images = [Image.fromarray(np.full((16, 16), 50 * row, np.uint8)) for row in rows]
    options = {"save_all": True, "append_images": images[1:], "duration": 80, "lossless": True}
    images[0].save(tmp_path / f"a.{ending}", **options)
    with Image.open(tmp_path / f"a.{ending}") as image:
        assert image.n_frames == 5
    found = read_recording(tmp_path / f"a.{ending}", frame(channels=1))
    assert (found[:, 0, 8, 8] / 50).tolist() == rows


def test_the_image_for_programs_without_animations_is_no_frame(tmp_path):
    images = [Image.new("L", (16, 16), level) for level in (200, 10, 20)]
    images[0].save(tmp_path / "a.png", save_all=True, append_images=images[1:], default_image=True, duration=50)
    assert read_recording(tmp_path / "a.png", frame(channels=1))[:, 0, 8, 8].tolist() == [10, 20]


def test_a_standstill_is_cut_and_named(tmp_path):
    images = [Image.new("L", (16, 16), level) for level in (10, 20, 30)]
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:], duration=[40, 600_000, 40])
    with pytest.warns(UserWarning, match=r"a\.gif: a standstill cut to 1,000 frames \(1,000\)\.$"):
        assert len(read_recording(tmp_path / "a.gif", frame(channels=1))) == 1002


def test_frames_kept_by_an_earlier_reader_are_read_again(tmp_path, monkeypatch):
    save_animation(tmp_path / "a.gif", torch.from_numpy(clip(3)))
    save_stills(tmp_path / "b", clip(3))
    animation, stills = find_recording(tmp_path / "a.gif"), find_recording(tmp_path / "b")
    now = animation.content_hash(tmp_path), stills.content_hash(tmp_path)
    monkeypatch.setattr(recording_files, "READER", 1)
    assert animation.content_hash(tmp_path) != now[0] and stills.content_hash(tmp_path) == now[1]


def test_grey_animations_and_conversions(tmp_path):
    frames = clip(channels=1)
    save_animation(tmp_path / "a.gif", torch.from_numpy(frames))
    assert np.array_equal(read_recording(tmp_path / "a.gif", frame(channels=1)), frames)
    assert np.array_equal(read_recording(tmp_path / "a.gif", frame()), frames.repeat(3, 1))


def test_transparent_animations_are_composited_over_white(tmp_path):
    shown = [Image.new("RGBA", (16, 16), (10 * number, 0, 0, 0)) for number in range(3)]
    shown[0].save(tmp_path / "a.png", save_all=True, append_images=shown[1:])
    assert read_recording(tmp_path / "a.png", frame()).min() == 255


@pytest.mark.parametrize("ending", ["mp4", "MP4"])
def test_videos(tmp_path, ending):
    frames = clip(12, 48, 64)
    save_animation(tmp_path / f"a.{ending}", torch.from_numpy(frames), fps=25)
    found = read_recording(tmp_path / f"a.{ending}", frame(48, 64))
    assert found.shape == frames.shape
    assert np.abs(found.astype(int) - frames).mean() < 4


def test_a_video_is_rotated_as_its_matrix_says(tmp_path):
    """The matrix of an MP4's track, as ISO 14496-12 defines it: x' = ax + cy, y' = bx + dy, in 16.16."""
    frames = clip(3, 32, 64)
    frames[:, :, :, :32] = 250
    save_animation(tmp_path / "a.mp4", torch.from_numpy(frames))
    content = (tmp_path / "a.mp4").read_bytes()
    upright, turned = (np.array(m, ">i4").tobytes() for m in ((65536, 0, 0, 0, 65536), (0, 65536, 0, -65536, 0)))
    place = content.index(upright, content.index(b"tkhd"))  # a clockwise quarter: what was left comes to the top
    (tmp_path / "b.mp4").write_bytes(content[:place] + turned + content[place + len(turned) :])
    found = read_recording(tmp_path / "b.mp4", frame(64, 32))
    expected = np.rot90(frames, -1, (2, 3))
    assert np.abs(found.astype(int) - expected).mean() < 5


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp"])
def test_a_folder_of_frames_in_their_natural_order(tmp_path, ending):
    frames = clip(12)
    folder = save_stills(tmp_path / "frames", frames, ending=ending)
    (folder / "notes.txt").write_text("no image")
    (folder / ".hidden.png").write_bytes(b"")
    found = read_recording(folder, frame())
    assert np.abs(found.astype(int) - frames).mean() < 4
    assert found.mean((1, 2, 3)).argsort().tolist() == list(range(12))


def test_one_image_is_a_recording_of_one_frame(tmp_path):
    save_stills(tmp_path, clip(1), ["photo"])
    assert np.array_equal(read_recording(tmp_path / "photo.png", frame()), clip(1))


def test_names_are_sorted_by_their_numbers():
    names = ["frame2.png", "frame10.png", "frame1.png", "b7", "frame01.png", "a10x2", "a10x10", "12", "9"]
    known = ["9", "12", "a10x2", "a10x10", "b7", "frame01.png", "frame1.png", "frame2.png", "frame10.png"]
    assert sorted(names, key=natural_key) == known


def test_frames_are_resized_as_images_are(tmp_path):
    frames = clip(2, 30, 50)
    np.save(tmp_path / "a.npy", frames)
    found = read_recording(tmp_path / "a.npy", frame(12, 12))
    for pixels, small in zip(frames, found, strict=True):
        fitted = ImageOps.fit(Image.fromarray(pixels.transpose(1, 2, 0)), (12, 12), Image.Resampling.BICUBIC)
        assert np.array_equal(small, np.asarray(fitted).transpose(2, 0, 1))


def names(root):
    return {split: [each.name for each in group] for split, group in find_recordings(root).items()}


def test_recordings_in_a_folder(tmp_path):
    root = tmp_path / "all"
    save_stills(root / "walk2", clip(3))
    save_stills(root / "walk10" / "deep", clip(3))
    save_stills(root / ".thumbnails", clip(3))
    for name in ("a.gif", "b.png", "c.webp", "d.mp4", "below/e.gif"):
        save_animation(root / name, torch.from_numpy(clip(3)))
    np.save(root / "f.npy", clip(3))
    (root / "readme.txt").write_text("")
    known = ["a.gif", "b.png", "below/e.gif", "c.webp", "d.mp4", "f.npy", "walk2", "walk10/deep"]
    assert names(root) == {"all": known}
    save_stills(root, clip(2), ["still1", "still2"])
    assert names(root) == {"all": sorted([*known, "all"], key=natural_key)}
    assert names(root / "walk2") == {"all": ["walk2"]} and names(root / "a.gif") == {"all": ["a.gif"]}


@pytest.mark.parametrize("test", ["test", "Validation"])
def test_splits_are_subfolders(tmp_path, test):
    save_stills(tmp_path / "train/a", clip(3))
    assert names(tmp_path) == {"all": ["train/a"]}
    save_stills(tmp_path / test, clip(3))
    assert names(tmp_path) == {"train": ["a"], "test": [test]}


def damaged_gif(path):
    save_animation(path, torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    return path


def damaged_video(path):
    save_animation(path, torch.from_numpy(clip(4, 32, 32)))
    path.write_bytes(path.read_bytes()[:200])
    return path


def video_without_images(path):
    import av

    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    return path


def array(path, values):
    np.save(path, values)
    return path


def text(path):
    path.write_text("no frames")
    return path


def archive(path, **arrays):
    np.savez(path, **arrays)
    return path


def sizes(folder):
    save_stills(folder, clip(2))
    return save_stills(folder, clip(1, 16, 20), ["frame3"])


def damaged_still(folder):
    save_stills(folder, clip(3))
    (folder / "frame2.png").write_bytes(b"no image")
    return folder


def empty(folder):
    folder.mkdir()
    return folder


def huge(path):
    """An .npy that claims more than it holds."""
    np.save(path, clip(3))
    path.write_bytes(path.read_bytes()[:-10])
    return path


BAD = {
    "damaged gif": (lambda p: damaged_gif(p / "a.gif"), r"a\.gif cannot be read \(.+\): repair or remove it"),
    "no gif": (lambda p: text(p / "a.gif"), r"a\.gif cannot be read"),
    "damaged video": (lambda p: damaged_video(p / "a.mp4"), r"a\.mp4 cannot be read"),
    "no video": (lambda p: text(p / "a.mkv"), r"a\.mkv cannot be read"),
    "only sound": (lambda p: video_without_images(p / "a.mp4"), r"a\.mp4 has no frames in it"),
    "sizes": (lambda p: sizes(p / "a"), r"Frame 3 of .*a is 20×16 and the first is 16×16: give frames of one size"),
    "damaged still": (lambda p: damaged_still(p / "a"), r"frame2\.png cannot be read"),
    "shape": (
        lambda p: array(p / "a.npy", np.zeros((3, 4), np.uint8)),
        r"uint8 of shape \(3, 4\): give uint8 of shape",
    ),
    "channels": (lambda p: array(p / "a.npy", np.zeros((3, 4, 5, 6), np.uint8)), r"shape \(3, 4, 5, 6\)"),
    "dtype": (lambda p: array(p / "a.npy", np.zeros((3, 8, 8))), r"float64 of shape \(3, 8, 8\): give uint8"),
    "no frames": (lambda p: array(p / "a.npy", np.zeros((0, 8, 8), np.uint8)), r"a\.npy has no frames in it"),
    "empty archive": (lambda p: archive(p / "a.npz"), r"has no array in it"),
    "no pixels": (lambda p: archive(p / "a.npz", frames=np.zeros((5, 0, 20), np.uint8)), r"frames without pixels"),
    "keys": (lambda p: archive(p / "a.npz", x=np.zeros(1), y=np.zeros(1)), r"several arrays and none is called frames"),
    "objects": (lambda p: array(p / "a.npy", np.array([{}])), r"a\.npy cannot be read"),
    "no archive": (lambda p: text(p / "a.npz"), r"a\.npz cannot be read"),
    "cut short": (lambda p: huge(p / "a.npy"), r"a\.npy cannot be read"),
    "empty folder": (
        lambda p: empty(p / "a"),
        r"a has no frames in it: give a folder of frames, or a file that ends in",
    ),
    "missing": (lambda p: p / "nowhere", r"nowhere does not exist: give a folder of frames"),
    "text": (lambda p: text(p / "a.txt"), r"a\.txt is no recording: give a folder of frames, or a file that ends in"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", BAD)
def test_bad_recordings_are_refused_in_one_sentence(tmp_path, case):
    make, what = BAD[case]
    with pytest.raises(UserError, match=what) as refusal:
        read_recording(make(tmp_path), frame())
    assert "\n" not in str(refusal.value) and str(refusal.value).endswith(".")


def test_a_link_back_adds_nothing(tmp_path):
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        np.save(tmp_path / split / "a.npy", np.zeros((5, 8, 8), np.uint8))
    (tmp_path / "train" / "back").symlink_to(tmp_path / "train")
    assert [each.name for each in find_recordings(tmp_path)["train"]] == ["a.npy"]


def test_the_number_of_frames_is_limited(tmp_path):
    frames = np.arange(6, dtype=np.uint8)[:, None, None] * np.ones((1, 8, 8), np.uint8)
    np.save(tmp_path / "a.npy", frames)
    read = read_recording(tmp_path / "a.npy", ResizeSpec((8, 8), (8, 8), 1), 4)
    assert np.array_equal(read[:, 0], frames[:4])


def test_a_root_without_recordings_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"data\.root=.*nowhere does not exist"):
        find_recordings(tmp_path / "nowhere")
    text(tmp_path / "a.txt")
    with pytest.raises(UserError, match=r"data\.root=.* has no recordings in it"):
        find_recordings(tmp_path)


def test_the_error_without_pyav_says_what_to_install(tmp_path, monkeypatch):
    save_animation(tmp_path / "a.mp4", torch.from_numpy(clip(3, 32, 32)))
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UserError, match=r"pip install gan_lab\[video\]"):
        read_recording(tmp_path / "a.mp4", frame())


def scenes(*lengths, noise=6):
    """Textures, each drifting through its scene with added noise, uint8 (T, 3, 32, 32)."""
    rng, frames = np.random.default_rng(1), []
    for length in lengths:
        small = Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8))
        still = np.asarray(small.resize((32, 32), Image.Resampling.BICUBIC)).transpose(2, 0, 1).astype(int)
        frames += [np.roll(still, step, 2) + rng.integers(-noise, noise + 1, still.shape) for step in range(length)]
    return np.clip(frames, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("lengths", [(30,), (12, 18), (5, 40, 3, 9), (300, 2, 30), (3, 3)])
def test_cuts_are_found_where_scenes_meet(lengths):
    assert scene_cuts(scenes(*lengths)).tolist() == np.cumsum(lengths)[:-1].tolist()


def test_fades_and_noise_are_not_cuts():
    first, second = scenes(1)[0].astype(float), scenes(1, 1)[1].astype(float)
    fade = [first + (second - first) * share for share in np.linspace(0, 1, 20)]
    assert scene_cuts(np.array(fade).astype(np.uint8)).tolist() == []
    assert scene_cuts(np.random.default_rng(0).integers(0, 256, (40, 1, 16, 16), np.uint8)).tolist() == []
    assert [scene_cuts(scenes(count)).tolist() for count in (1, 2, 3)] == [[], [], []]
    assert scene_cuts(np.zeros((5, 1, 4, 4), np.uint8)).tolist() == []


def test_the_cut_of_a_real_video(shared_data):
    folder = shared_data / "bunny-clip"
    known = np.load(folder / "bunny_64x64.npz")["frames"].transpose(0, 3, 1, 2)
    found = read_recording(folder / "bunny_64x64.npz", frame(64, 64))
    assert np.array_equal(found, known) and scene_cuts(found).tolist() == [235]
    grey = read_recording(folder / "bunny_64x64.npz", frame(32, 32, 1))
    assert grey.shape == (240, 1, 32, 32) and scene_cuts(grey).tolist() == [235]


def test_a_real_video_is_read_as_its_frames_are(shared_data):
    """The array was frames from the video by other means: the central square at 64 × 64."""
    folder = shared_data / "bunny-clip"
    known = np.load(folder / "bunny_64x64.npz")["frames"].transpose(0, 3, 1, 2).astype(int)
    found = read_recording(folder / "cutBunny.mp4", frame(64, 64))
    assert found.shape == known.shape and np.abs(found - known).mean() < 1
    order = [np.abs(found[i] - known[j]).mean() for i, j in pairwise(range(140, 146))]
    assert min(order) > 1  # so that a frame more or less would have been seen
