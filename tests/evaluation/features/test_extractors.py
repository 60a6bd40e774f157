"""The accuracy of the packaged extractors, and their treatment of images of any shape."""

import functools
import gzip
import io
import zipfile

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from train_extractor import read_idx
from train_video_extractor import PARTS, clips, has_direction

from gan_lab.common.errors import UserError
from gan_lab.evaluation.features import extractors
from gan_lab.evaluation.features.extractors import WEIGHTS
from gan_lab.evaluation.features.general import General, default_extractor, halved, patches


@functools.cache
def extractor_of(name):
    classes = {"grey": extractors.Grey, "colour": extractors.Colour, "video": extractors.Video, "general": General}
    return classes[name]()


def random_images(*shape, seed=0):
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def idx(folder, count):
    """Reads the first images and labels of a test split without the package's readers."""
    raw = next(folder.glob("*/raw"))
    images = gzip.decompress((raw / "t10k-images-idx3-ubyte.gz").read_bytes())[16:]
    labels = gzip.decompress((raw / "t10k-labels-idx1-ubyte.gz").read_bytes())[8:]
    images = np.frombuffer(bytearray(images), np.uint8).reshape(-1, 1, 28, 28)
    return torch.from_numpy(images[:count]), torch.tensor(list(labels[:count]))


def accuracy(name, images, labels, among=slice(None)):
    _, logits = extractor_of(name)(images)
    return (logits[:, among].argmax(1) == labels).double().mean().item()


# The packaged files


@pytest.mark.parametrize(("name", "limit"), [("grey", 1_000_000), ("colour", 4_000_000), ("video", 1_000_000)])
def test_the_packaged_file_is_small_and_describes_itself(name, limit):
    assert (WEIGHTS / f"{name}.safetensors").stat().st_size <= limit
    header = extractor_of(name).header
    assert {"data", "labels", "seed", "epochs", "command"} <= header.keys() and header["name"] == name
    assert any(key.startswith("accuracy") for key in header)


def test_grey_classifies_digits_and_articles(shared_data):
    assert accuracy("grey", *idx(shared_data / "mnist", 1000)) >= 0.98
    images, labels = idx(shared_data / "fashion-mnist", 1000)
    assert accuracy("grey", images, labels + 10) >= 0.90


@pytest.mark.parametrize("mode", ["bicubic", "bilinear"])
def test_grey_classifies_unseen_digits(mode):
    data = load_digits()
    images = F.interpolate(torch.from_numpy(data.images)[:, None] * (255 / 16), (32, 32), mode=mode)
    images, labels = images.round().clamp(0, 255).to(torch.uint8), torch.from_numpy(data.target)
    assert accuracy("grey", images, labels, extractors.Grey.digits) >= 0.93


def test_colour_classifies_cifar(shared_data):
    with zipfile.ZipFile(shared_data / "cifar10-images" / "test.zip") as archive:
        names = sorted(archive.namelist())
        names = [name for name in names if name.endswith(".jpg")][::5]
        images = [np.asarray(Image.open(io.BytesIO(archive.read(name)))) for name in names]
    folders = sorted({name.split("/")[-2] for name in names})
    labels = torch.tensor([folders.index(name.split("/")[-2]) for name in names])
    assert accuracy("colour", torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2), labels) >= 0.80


def test_video_classifies_unseen_digits_and_their_motion(shared_data):
    torch.manual_seed(0)
    shown, labels = clips(read_idx(shared_data / "mnist", "t10k"), True, 200, 16)
    logits = extractor_of("video")((shown * 255).round().to(torch.uint8))[1]
    correct = {key: logits[:, part].argmax(1) == labels[key] for key, part in PARTS.items()}
    correct["where"] = correct["where"][has_direction(labels)]
    shares = {key: each.double().mean().item() for key, each in correct.items()}
    assert shares["what"] >= 0.85 and shares["how"] >= 0.75 and shares["where"] >= 0.9


# Inputs


@pytest.mark.parametrize("name", ["grey", "colour", "general"])
@pytest.mark.parametrize(
    "shape", [(1, 28, 28), (3, 28, 28), (1, 32, 32), (3, 64, 64), (3, 20, 45), (1, 8, 8), (1, 1, 1)]
)
def test_any_size_and_both_channel_counts_work(name, shape):
    model = extractor_of(name)
    features, logits = model(random_images(2, *shape))
    assert features.shape == (2, model.dim) and logits.shape == (2, model.classes)
    assert features.dtype == logits.dtype == torch.float32
    assert features.isfinite().all() and not features.requires_grad


@pytest.mark.parametrize("name", ["grey", "colour", "general"])
def test_a_grey_image_and_its_rgb_copy_have_the_same_features(name):
    grey = random_images(4, 1, 40, 24)
    one, three = extractor_of(name)(grey)[0], extractor_of(name)(grey.repeat(1, 3, 1, 1))[0]
    torch.testing.assert_close(one, three, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("shape", [(1, 3, 64, 64), (7, 1, 20, 45), (20, 1, 32, 32)])
def test_clips_of_any_length_work_and_grey_ones_become_rgb(shape):
    model, shown = extractor_of("video"), random_images(3, *shape)
    features, logits = model(shown)
    assert features.shape == (3, model.dim) and logits.shape == (3, model.classes) and features.isfinite().all()
    torch.testing.assert_close(model(shown[1:])[0], features[1:], atol=1e-5, rtol=1e-5)
    if shape[1] == 1:
        torch.testing.assert_close(model(shown.expand(-1, -1, 3, -1, -1))[0], features, atol=1e-5, rtol=1e-5)


def test_a_clip_backwards_has_other_features():
    shown = random_images(1, 8, 1, 32, 32)
    assert not torch.allclose(extractor_of("video")(shown)[0], extractor_of("video")(shown.flip(1))[0], atol=1e-3)


def test_grey_sees_the_luma_of_rgb():
    image = random_images(1, 3, 32, 32)
    r, g, b = image[0].double()
    expected = (0.299 * r + 0.587 * g + 0.114 * b) / 127.5 - 1
    torch.testing.assert_close(extractor_of("grey").prepare(image)[0, 0].double(), expected, atol=1e-5, rtol=0)


def test_28_is_padded_with_black_not_resized():
    image = random_images(1, 1, 28, 28)
    framed = torch.zeros(1, 1, 32, 32, dtype=torch.uint8)
    framed[:, :, 2:30, 2:30] = image
    assert torch.equal(extractor_of("grey")(image)[0], extractor_of("grey")(framed)[0])


def test_halving_averages_with_the_antialiased_triangle():
    step = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    step[..., 32:] = 255
    row = extractor_of("colour").prepare(step)[0, 0, 16]
    # Output 15 weighs inputs 29 to 32 by 1, 3, 3, 1 (eighths), and of these only input 32 is white.
    torch.testing.assert_close(row[14:18], torch.tensor([0.0, 1 / 8, 7 / 8, 1.0]) * 2 - 1)


@pytest.mark.parametrize("name", ["grey", "colour", "general"])
def test_features_do_not_depend_on_the_batch(name):
    images = random_images(33, 3, 36, 36)
    together = extractor_of(name)(images)
    alone = [extractor_of(name)(part) for part in images.split([1, 7, 25])]
    for whole, parts in zip(together, zip(*alone, strict=True), strict=True):
        torch.testing.assert_close(whole, torch.cat(parts), atol=1e-5, rtol=1e-5)


def test_float32_and_evaluation_mode_under_autocast_and_after_train():
    images, model = random_images(3, 1, 28, 28), extractor_of("grey")
    expected = model(images)
    with torch.autocast("cpu", torch.bfloat16):
        got = model.train()(images)
    assert all(torch.equal(a, b) for a, b in zip(expected, got, strict=True))
    assert not model.training and not any(p.requires_grad for p in model.parameters())


def test_the_precision_of_the_process_is_suspended_and_restored():
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        with extractors.full_precision():
            assert torch.backends.cuda.matmul.fp32_precision == torch.backends.mkldnn.matmul.fp32_precision == "ieee"
            assert torch.backends.cudnn.conv.fp32_precision == "ieee"
        assert torch.get_float32_matmul_precision() == "medium"
        assert torch.backends.mkldnn.matmul.fp32_precision == "bf16"
    finally:
        torch.set_float32_matmul_precision(before)


def test_stages_halve_and_end_in_the_features():
    model = extractor_of("colour")
    image = random_images(2, 3, 32, 32)
    maps = model.network.stages(model.prepare(image))
    assert [m.shape[2] for m in maps] == [32, 16, 8, 4]
    torch.testing.assert_close(maps[-1].mean((2, 3)), model(image)[0])


def test_wrong_inputs_raise():
    with pytest.raises(UserError, match="1 or 3 channels"):
        extractor_of("grey")(random_images(1, 2, 32, 32))
    with pytest.raises(UserError, match="video takes clips"):
        extractor_of("video")(random_images(1, 3, 32, 32))
    with pytest.raises(TypeError, match="uint8"):
        extractor_of("grey")(torch.zeros(1, 1, 32, 32))


def test_the_choice_of_extractor(tmp_path):
    names = {"mnist": "grey", "digits": "grey", "cifar10": "colour", "folder": "general", "": "general"}
    assert {name: default_extractor(name).name for name in names} == names
    (tmp_path / "broken").write_bytes(b"not safetensors")
    for weights in ("broken", "absent"):
        with pytest.raises(UserError, match=f"{weights} cannot be read"):
            extractors.Grey(tmp_path / weights)
    with pytest.raises(UserError, match="does not hold the extractor grey"):
        extractors.Grey(WEIGHTS / "colour.safetensors")


def test_metrics_have_the_extractors_name():
    assert [extractor_of(name).metric_name("fd") for name in ("grey", "colour")] == ["fd_grey", "fd_colour"]


# The general extractor


def test_the_general_file_is_small_and_describes_itself():
    assert (WEIGHTS / "general.safetensors").stat().st_size <= 6_000_000
    header = extractor_of("general").header
    assert {"data", "network", "made by"} <= header.keys() and "ORL" not in header["data"]


@pytest.mark.parametrize("side", [28, 64, 160, 256])
def test_general_sees_patterns_of_single_pixels_at_any_size(side):
    plain = torch.full((1, 1, side, side), 128, dtype=torch.uint8)
    board = plain + 20 * ((torch.arange(side)[:, None] + torch.arange(side)) % 2).to(torch.uint8)
    moved = [(extractor_of(name)(board)[0] - extractor_of(name)(plain)[0]).norm() for name in ("general", "colour")]
    assert moved[0] > 1
    assert side < 64 or moved[0] > 5 * moved[1]  # averaged away at 32 px


def test_general_sees_one_view_at_its_own_resolution_and_one_at_half():
    image = random_images(1, 3, 96, 48)
    assert halved(image).shape == (1, 3, 64, 32)
    assert torch.equal(halved(random_images(1, 3, 32, 32)), random_images(1, 3, 32, 32).float())
    parts = patches(random_images(1, 3, 256, 192))
    assert [part.shape[2:] for part in parts] == [(64, 64)] * 4
    assert torch.equal(parts[3], random_images(1, 3, 256, 192)[:, :, 160:224, 112:176])
    assert patches(random_images(1, 3, 40, 800))[1].shape == (1, 3, 40, 64)


def variance(name, images):
    features = torch.cat([extractor_of(name)(part)[0] for part in images.split(100)]).double()
    return features.var(0).sum().item()


def test_extractors_know_the_kinds_of_images_that_they_were_trained_on(shared_data):
    paths = sorted((shared_data / "orl-faces").glob("*/*.pgm"))[::2]
    faces = torch.stack([torch.from_numpy(np.array(Image.open(path).resize((46, 56)))) for path in paths])[:, None]
    digits = idx(shared_data / "mnist", 300)[0]
    noise = random_images(100, 3, 96, 96)
    known = {
        name: [extractor_of(name).knows(variance(name, x)) for x in (digits, faces, noise)]
        for name in ("grey", "general")
    }
    assert known == {"grey": [True, False, False], "general": [True, True, False]}
    assert extractor_of("grey").knows(0.0, "mnist") and extractor_of("video").knows(0.0)
    articles = idx(shared_data / "fashion-mnist", 500)[0]
    both = torch.cat([idx(shared_data / "mnist", 500)[0], articles])
    assert variance("grey", both) == pytest.approx(extractors.Grey.spread, rel=0.1)


@pytest.mark.parametrize("kind", [extractors.Grey, General])
def test_the_spread_is_that_of_the_file(tmp_path, kind):
    packaged = WEIGHTS / f"{kind.name}.safetensors"
    header, state, _ = extractors.read_packaged(kind.name)
    paths = {name: tmp_path / name for name in ("copy", "other", "stated")}
    paths["copy"].write_bytes(packaged.read_bytes())
    save_file({key: 2 * tensor for key, tensor in state.items()}, paths["other"], header)
    save_file(state, paths["stated"], header | {"spread": "7.5"})
    found = {name: kind(path).spread for name, path in paths.items()}
    assert found == {"copy": kind.spread, "other": None, "stated": 7.5} and kind().spread == kind.spread
