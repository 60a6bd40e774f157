"""The extractors' accuracy from the shipped files, their door for pictures of any shape, and Inception's weights."""

import functools
import gzip
import hashlib
import http.server
import io
import socket
import threading
import zipfile

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.datasets import load_digits
from torch import nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torchmetrics.image.fid import NoTrainInceptionV3

from gan_lab.metrics import extractors
from gan_lab.metrics.extractors import WEIGHTS, extractor, fetch, inception_weights
from gan_lab.types import UserError

extractor_of = functools.cache(extractor)


def pictures(*shape, seed=0):
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def idx(folder, count):
    """The first pictures and labels of a test split, read without the program's own readers."""
    raw = next(folder.glob("*/raw"))
    images = gzip.decompress((raw / "t10k-images-idx3-ubyte.gz").read_bytes())[16:]
    labels = gzip.decompress((raw / "t10k-labels-idx1-ubyte.gz").read_bytes())[8:]
    images = np.frombuffer(bytearray(images), np.uint8).reshape(-1, 1, 28, 28)
    return torch.from_numpy(images[:count]), torch.tensor(list(labels[:count]))


def accuracy(name, images, labels, among=slice(None)):
    _, logits = extractor_of(name)(images)
    return (logits[:, among].argmax(1) == labels).double().mean().item()


# The shipped files


@pytest.mark.parametrize(("name", "limit"), [("grey", 1_000_000), ("colour", 4_000_000)])
def test_the_shipped_file_is_small_and_says_what_it_is(name, limit):
    assert (WEIGHTS / f"{name}.safetensors").stat().st_size <= limit
    header = extractor_of(name).header
    assert {"data", "labels", "seed", "epochs", "command"} <= header.keys() and header["name"] == name
    assert any(key.startswith("accuracy") for key in header)


def test_grey_knows_digits_and_articles(shared_data):
    assert accuracy("grey", *idx(shared_data / "mnist", 1000)) >= 0.98
    images, labels = idx(shared_data / "fashion-mnist", 1000)
    assert accuracy("grey", images, labels + 10) >= 0.90


@pytest.mark.parametrize("mode", ["bicubic", "bilinear"])
def test_grey_knows_the_embedded_digits_it_never_saw(mode):
    data = load_digits()
    images = F.interpolate(torch.from_numpy(data.images)[:, None] * (255 / 16), (32, 32), mode=mode)
    images, labels = images.round().clamp(0, 255).to(torch.uint8), torch.from_numpy(data.target)
    assert accuracy("grey", images, labels, extractors.Grey.digits) >= 0.93


def test_colour_knows_cifar(shared_data):
    with zipfile.ZipFile(shared_data / "cifar10-images" / "test.zip") as archive:
        names = sorted(archive.namelist())
        names = [name for name in names if name.endswith(".jpg")][::5]
        images = [np.asarray(Image.open(io.BytesIO(archive.read(name)))) for name in names]
    folders = sorted({name.split("/")[-2] for name in names})
    labels = torch.tensor([folders.index(name.split("/")[-2]) for name in names])
    assert accuracy("colour", torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2), labels) >= 0.80


# The door


@pytest.mark.parametrize("name", ["grey", "colour"])
@pytest.mark.parametrize(
    "shape", [(1, 28, 28), (3, 28, 28), (1, 32, 32), (3, 64, 64), (3, 20, 45), (1, 8, 8), (1, 1, 1)]
)
def test_any_size_and_both_channel_counts_enter(name, shape):
    model = extractor_of(name)
    features, logits = model(pictures(2, *shape))
    assert features.shape == (2, model.dim) and logits.shape == (2, model.classes)
    assert features.dtype == logits.dtype == torch.float32
    assert features.isfinite().all() and not features.requires_grad


@pytest.mark.parametrize("name", ["grey", "colour"])
def test_a_grey_picture_and_its_rgb_copy_have_the_same_features(name):
    grey = pictures(4, 1, 40, 24)
    one, three = extractor_of(name)(grey)[0], extractor_of(name)(grey.repeat(1, 3, 1, 1))[0]
    torch.testing.assert_close(one, three, atol=1e-4, rtol=1e-4)


def test_grey_sees_the_luma_of_rgb():
    image = pictures(1, 3, 32, 32)
    r, g, b = image[0].double()
    expected = (0.299 * r + 0.587 * g + 0.114 * b) / 127.5 - 1
    torch.testing.assert_close(extractor_of("grey").prepare(image)[0, 0].double(), expected, atol=1e-5, rtol=0)


def test_28_is_padded_with_black_not_resized():
    image = pictures(1, 1, 28, 28)
    framed = torch.zeros(1, 1, 32, 32, dtype=torch.uint8)
    framed[:, :, 2:30, 2:30] = image
    assert torch.equal(extractor_of("grey")(image)[0], extractor_of("grey")(framed)[0])


def test_halving_averages_with_the_antialiased_triangle():
    step = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    step[..., 32:] = 255
    row = extractor_of("colour").prepare(step)[0, 0, 16]
    # Output 15 weighs inputs 29 to 32 by 1, 3, 3, 1 (eighths), and of these only input 32 is white.
    torch.testing.assert_close(row[14:18], torch.tensor([0.0, 1 / 8, 7 / 8, 1.0]) * 2 - 1)


@pytest.mark.parametrize("name", ["grey", "colour"])
def test_features_do_not_depend_on_the_batch(name):
    images = pictures(33, 3, 36, 36)
    together = extractor_of(name)(images)
    alone = [extractor_of(name)(part) for part in images.split([1, 7, 25])]
    for whole, parts in zip(together, zip(*alone, strict=True), strict=True):
        torch.testing.assert_close(whole, torch.cat(parts), atol=1e-5, rtol=1e-5)


def test_float32_in_evaluation_mode_under_autocast_and_after_train():
    images, model = pictures(3, 1, 28, 28), extractor("grey")
    expected = model(images)
    with torch.autocast("cpu", torch.bfloat16):
        got = model.train()(images)
    assert all(torch.equal(a, b) for a, b in zip(expected, got, strict=True))
    assert not model.training and not any(p.requires_grad for p in model.parameters())


def test_reduced_precision_of_the_process_is_put_aside_and_back():
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
    image = pictures(2, 3, 32, 32)
    maps = model.network.stages(model.prepare(image))
    assert [m.shape[2] for m in maps] == [32, 16, 8, 4]
    torch.testing.assert_close(maps[-1].mean((2, 3)), model(image)[0])


def test_wrong_pictures_are_refused():
    with pytest.raises(UserError, match="1 or 3 channels"):
        extractor_of("grey")(pictures(1, 2, 32, 32))
    with pytest.raises(TypeError, match="uint8"):
        extractor_of("grey")(torch.zeros(1, 1, 32, 32))


def test_the_choice_of_extractor(tmp_path):
    assert [extractors.default_for(channels) for channels in (1, 3)] == ["grey", "colour"]
    with pytest.raises(UserError, match="grey, colour or inception"):
        extractor("vgg")
    (tmp_path / "broken").write_bytes(b"not safetensors")
    for weights in ("broken", "absent"):
        with pytest.raises(UserError, match=f"{weights} cannot be read"):
            extractor("grey", str(tmp_path / weights))
    with pytest.raises(UserError, match="does not hold the extractor grey"):
        extractor("grey", str(WEIGHTS / "colour.safetensors"))


def test_only_inception_has_the_published_names():
    assert [(e.distance, e.score) for e in (extractors.Grey, extractors.Colour, extractors.Inception)] == [
        ("fd_grey", "cs_grey"),
        ("fd_colour", "cs_colour"),
        ("fid", "is"),
    ]


# Inception and its weights


@pytest.fixture(scope="module")
def random_inception(tmp_path_factory):
    """A file of random weights in the layout of the published one; the network is built without any download."""
    path = tmp_path_factory.mktemp("inception") / "random.pth"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "load", lambda *_, **__: {})
        patch.setattr(nn.Module, "load_state_dict", lambda *_: None)
        network = FeatureExtractorInceptionV3("random", ["2048"], "nothing is read")
    torch.manual_seed(0)
    for kernel in (p for p in network.parameters() if p.ndim == 4):
        nn.init.kaiming_normal_(kernel, nonlinearity="relu")
    torch.save(network.state_dict(), path)
    return path


def test_inception_gives_torchmetrics_features_of_the_published_resizer(random_inception):
    model, images = extractors.Inception(random_inception), pictures(2, 1, 24, 32)
    features, logits = model(images)
    assert features.shape == (2, model.dim) and logits.shape == (2, model.classes)
    assert model.sha256 == hashlib.sha256(random_inception.read_bytes()).hexdigest()
    theirs = NoTrainInceptionV3("fid", ["2048"], str(random_inception), antialias=False)
    expected = theirs(images.repeat(1, 3, 1, 1))
    assert expected.std() > 1e-2
    torch.testing.assert_close(features, expected, atol=1e-5, rtol=1e-4)


def test_a_wrong_inception_file_is_refused_before_it_is_unpickled(random_inception):
    with pytest.raises(UserError, match=r"6726825d.*another file.*extractors=\[grey\]"):
        extractor("inception", str(random_inception))
    with pytest.raises(UserError, match=r"not at .*nowhere\.pth"):
        extractor("inception", str(random_inception.parent / "nowhere.pth"))


def test_offline_one_sentence_names_the_file_and_its_place(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(UserError) as caught:
        inception_weights(url="http://127.0.0.1:9/weights-inception-2015-12-05-6726825d.pth")
    place = tmp_path / "hub" / "checkpoints" / "weights-inception-2015-12-05-6726825d.pth"
    assert f"put {place.name} at {place}" in str(caught.value) and "extractors=[grey]" in str(caught.value)
    assert "\n" not in str(caught.value) and not list(place.parent.iterdir())


@pytest.fixture
def server(tmp_path):
    """A local web server: its address and the folder it serves."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as web:
        threading.Thread(target=web.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{web.server_port}", folder
        web.shutdown()


def test_fetch_checks_the_hash_and_leaves_nothing_half(server, tmp_path):
    address, folder = server
    (folder / "file").write_bytes(b"weights" * 100_000)
    digest, target = hashlib.sha256(b"weights" * 100_000).hexdigest(), tmp_path / "deep" / "file"
    with pytest.raises(OSError, match=digest[:8]):
        fetch(f"{address}/file", target, "00000000")
    with pytest.raises(OSError, match="404"):
        fetch(f"{address}/absent", target, digest[:8])
    assert not list(target.parent.iterdir())
    fetch(f"{address}/file", target, digest[:8])
    assert target.read_bytes() == (folder / "file").read_bytes() and len(list(target.parent.iterdir())) == 1


def test_a_download_that_is_another_file_says_where_to_put_the_right_one(server, tmp_path, monkeypatch):
    address, folder = server
    (folder / "weights.pth").write_bytes(b"a portal's login page")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(UserError, match=r"could not be downloaded.*put weights.pth at"):
        inception_weights(url=f"{address}/weights.pth")


def test_torch_hubs_copy_is_taken_without_any_network(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    place = tmp_path / "hub" / "checkpoints" / "w.pth"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"there")
    monkeypatch.setattr(extractors, "INCEPTION_SHA256", hashlib.sha256(b"there").hexdigest()[:8])
    assert inception_weights(url="http://127.0.0.1:9/w.pth") == place


def test_a_silent_server_is_given_up(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(OSError, match="timed out"):
        fetch(f"http://127.0.0.1:{mute.getsockname()[1]}/file", tmp_path / "file", "00", timeout=0.2)
    assert not list(tmp_path.iterdir())
