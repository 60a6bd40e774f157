import sys

import av
import numpy as np
import pytest
import torch
from PIL import Image

from gan_lab.common.errors import UserError
from gan_lab.common.images import (
    grid,
    grid_by_label,
    heatmap,
    read_frames,
    save_animation,
    save_images,
    save_png,
    strip,
)


def test_grid_places_images_row_by_row():
    images = torch.tensor([-1.0, 0.0, 1.0]).view(3, 1, 1, 1).expand(3, 1, 1, 2)
    w = 255
    expected = [
        [w, w, w, w, w, w, w],
        [w, 0, 0, w, 128, 128, w],
        [w, w, w, w, w, w, w],
        [w, 255, 255, w, w, w, w],
        [w, w, w, w, w, w, w],
    ]
    assert grid(images, columns=2, pad=1, scale=1)[0].tolist() == expected


@pytest.mark.parametrize(("n", "columns", "rows"), [(64, 8, 8), (10, 4, 3), (8, 4, 2), (1, 1, 1), (3, 2, 2)])
def test_grid_is_nearly_square_by_default(n, columns, rows):
    sheet = grid(torch.zeros(n, 3, 100, 90), pad=0)
    assert sheet.shape == (3, rows * 100, columns * 90)


def test_labels_have_rows_that_are_filled_up_with_white():
    images = torch.tensor([-1.0, -0.5, 0.0]).view(3, 1, 1, 1).expand(-1, -1, 64, 64)
    sheet = grid_by_label(images, torch.tensor([5, 2, 5]))
    assert sheet[0, 30::66, 30::66].tolist() == [[64, 255], [0, 128]]


def test_grid_enlarges_small_images_by_an_integer_factor():
    image = torch.rand(1, 1, 28, 20) * 2 - 1
    sheet = grid(image, pad=0)
    assert sheet.shape == (1, 56, 40)
    assert torch.equal(sheet[:, ::2, ::2], grid(image, pad=0, scale=1))
    assert torch.equal(sheet[:, 1::2, 1::2], sheet[:, ::2, ::2])


def test_strip_is_one_row():
    assert strip(torch.zeros(5, 3, 64, 64), pad=0).shape == (3, 64, 320)


@pytest.mark.parametrize("channels", [1, 3])
def test_png_keeps_every_pixel(tmp_path, channels):
    image = torch.randint(0, 256, (channels, 5, 7), dtype=torch.uint8)
    save_png(tmp_path / "new" / "a.png", image)
    read = np.array(Image.open(tmp_path / "new" / "a.png")).reshape(5, 7, channels)
    assert np.array_equal(read, image.permute(1, 2, 0).numpy())
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.png"]


@pytest.mark.parametrize("compression", [0, 1, 6, 9])
def test_every_level_of_compression_keeps_every_pixel(tmp_path, compression):
    image = torch.arange(3 * 40 * 50).view(3, 40, 50).div(30).to(torch.uint8)
    save_png(tmp_path / "a.png", image, compression)
    assert np.array_equal(np.array(Image.open(tmp_path / "a.png")), image.permute(1, 2, 0).numpy())


def test_an_image_that_cannot_be_written_is_named_and_the_others_are_whole(tmp_path):
    (tmp_path / "000003.png" / "in the way").mkdir(parents=True)
    with pytest.raises(UserError, match=r"000003\.png cannot be written"):
        save_images(tmp_path, torch.zeros(40, 1, 8, 8))
    written = sorted(path for path in tmp_path.iterdir() if path.is_file())
    assert [path.stem for path in written[:3]] == ["000000", "000001", "000002"]
    for path in written:
        Image.open(path).load()


def test_images_are_numbered_from_the_start(tmp_path):
    save_images(tmp_path, torch.full((2, 1, 4, 4), -1.0), start=41)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000041.png", "000042.png"]


def frames(count: int, height: int = 9, width: int = 7) -> torch.Tensor:
    """RGB frames of rising grey levels."""
    levels = torch.linspace(0, 255, count).round().to(torch.uint8)
    return levels.view(-1, 1, 1, 1).expand(count, 3, height, width).contiguous()


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_animation_keeps_frames_and_speed(tmp_path, suffix):
    save_animation(tmp_path / f"a{suffix}", frames(4), fps=5)
    with Image.open(tmp_path / f"a{suffix}") as image:
        assert (image.n_frames, image.size, image.info["loop"]) == (4, (7, 9), 0)
        for i in range(4):
            image.seek(i)
            image.load()
            assert image.info["duration"] == 200
            assert abs(int(np.array(image.convert("RGB"))[4, 3, 0]) - 85 * i) <= 3


def test_an_mp4_keeps_frames_and_speed(tmp_path):
    save_animation(tmp_path / "a.mp4", frames(6, height=33, width=41), fps=12.5)
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.average_rate, stream.width, stream.height) == (12.5, 42, 34)
        levels = [frame.to_ndarray(format="rgb24")[16, 20, 1] for frame in container.decode(stream)]
    assert np.abs(np.array(levels, float) - np.linspace(0, 255, 6)).max() < 4


def stored(path) -> tuple[np.ndarray, list[float]]:
    """Returns the stored frames of an animation, RGB (T, H, W, 3), and their durations in milliseconds."""
    with Image.open(path) as image:
        pixels, durations = [], []
        for number in range(image.n_frames):
            image.seek(number)
            image.load()
            pixels.append(np.asarray(image.convert("RGB")))
            durations.append(image.info["duration"])
    return np.stack(pixels), durations


STANDING = {
    "on twos": [0, 0, 1, 1, 2, 2],
    "still": [0] * 6,
    "still for long": [0, 1, 1, 1, 1, 1],
    "ends": [0, 0, 1, 2, 3, 3],
}


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
@pytest.mark.parametrize("case", STANDING)
@pytest.mark.parametrize("channels", [1, 3])
def test_equal_frames_stay_frames_of_their_own(tmp_path, suffix, case, channels):
    """As they are in an animation of the different frames only, in which each frame is there once."""
    rows = STANDING[case]
    single = torch.randint(0, 256, (max(rows) + 1, channels, 10, 14), dtype=torch.uint8)
    save_animation(tmp_path / f"a{suffix}", single[rows])
    save_animation(tmp_path / f"b{suffix}", torch.cat([single, 255 - single[-1:]]))
    found, durations = stored(tmp_path / f"a{suffix}")
    assert durations == [100] * 6
    assert np.array_equal(found, stored(tmp_path / f"b{suffix}")[0][rows])


@pytest.mark.parametrize(("suffix", "unit"), [(".gif", 10), (".webp", 1), (".png", 1)])
@pytest.mark.parametrize("fps", [8, 12, 23.976, 30, 48])
def test_rounded_durations_do_not_add_up_to_another_speed(tmp_path, suffix, unit, fps):
    save_animation(tmp_path / f"a{suffix}", frames(20), fps=fps)
    _, durations = stored(tmp_path / f"a{suffix}")
    assert abs(sum(durations) - 20_000 / fps) <= unit / 2 and max(durations) - min(durations) <= unit


@pytest.mark.parametrize(("suffix", "shortest"), [(".gif", 20), (".webp", 11), (".png", 11)])
def test_frames_are_not_shorter_than_browsers_show(tmp_path, suffix, shortest):
    save_animation(tmp_path / f"a{suffix}", frames(4), fps=1000)
    assert stored(tmp_path / f"a{suffix}")[1] == [shortest] * 4


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (200, 100, 50), (20, 90, 240)])
def test_an_mp4_has_the_colours_of_its_tags(tmp_path, colour):
    """Y, U and V by the matrix of BT.709 in the limited range."""
    save_animation(tmp_path / "a.mp4", torch.tensor(colour, dtype=torch.uint8).view(1, 3, 1, 1).expand(3, 3, 32, 32))
    with av.open(str(tmp_path / "a.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == (1, 1, 1, 1)
        planes = [np.asarray(plane) for plane in next(container.decode(video=0)).planes]
    red, green, blue = np.array(colour) / 255
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    known = 16 + 219 * luma, 128 + 224 * (blue - luma) / 1.8556, 128 + 224 * (red - luma) / 1.5748
    for plane, level in zip(planes, known, strict=True):
        assert abs(int(np.frombuffer(plane, np.uint8)[5]) - level) <= 1


def test_mp4_without_pyav_names_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UserError, match=r"pip install gan_lab\[video\].*\.gif"):
        save_animation(tmp_path / "a.mp4", frames(2))
    assert not list(tmp_path.iterdir())


def test_a_suffix_without_animations_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"a\.bmp cannot store an animation.*\.gif"):
        save_animation(tmp_path / "a.bmp", frames(2))


def test_frames_are_evenly_spaced_and_resized_to_the_last(tmp_path):
    for i in range(10):
        save_png(tmp_path / f"{i}.png", torch.full((1, 20 if i else 10, 40), 20 * i, dtype=torch.uint8))
    read = read_frames(sorted(tmp_path.iterdir()), limit=4, longest=20)
    assert read.shape == (4, 1, 10, 20)
    assert read[:, 0, 5, 5].tolist() == [0, 60, 120, 180]


def test_a_heatmap_is_darker_for_higher_numbers_and_blank_for_nan():
    table = torch.tensor([[0.0, 1.0], [0.5, float("nan")]])
    sheet = heatmap(table, ["first", "second"], ["x", "y"], "shares", limits=(0, 1), cell=(60, 40))
    assert sheet.shape == (3, 4 * 40, 3 * 60)
    corner = sheet[:, [2 * 40 + 3, 3 * 40 + 3]][:, :, [60 + 3, 120 + 3]].float().mean(0)
    assert corner[0, 1] < corner[1, 0] < corner[0, 0] == corner[1, 1] == 255
    alike = heatmap(torch.full((1, 1), -3.0), ["a"], ["b"], "logits")
    assert alike[:, 2 * 48 + 3, 96 + 3].tolist() == [255] * 3
