"""Inception's features, with random weights in the published layout, and the search for its weights."""

import functools
import hashlib
import http.server
import socket
import sys
import threading

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torchmetrics.image.fid import NoTrainInceptionV3

from gan_lab.common.errors import UserError
from gan_lab.evaluation.features import inception as module
from gan_lab.evaluation.features.inception import Inception, InceptionSpatial, fetch, inception, inception_weights


def random_images(*shape, seed=0):
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


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
    for layer in (each for each in network.modules() if isinstance(each, nn.BatchNorm2d)):
        layer.running_mean.normal_(0, 0.1)
        layer.running_var.uniform_(0.8, 1.2)
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture
def trusted(random_inception, monkeypatch):
    """The same file, taken for the published one."""
    digest = hashlib.sha256(random_inception.read_bytes()).hexdigest()
    monkeypatch.setattr(module, "INCEPTION_SHA256", digest[:8])
    return random_inception


def test_inception_has_the_features_of_torchmetrics_with_the_published_resizer(trusted):
    model, images = Inception(trusted), random_images(2, 1, 24, 32)
    features, logits = model(images)
    assert features.shape == (2, model.dim) and logits.shape == (2, model.classes)
    assert model.sha256 == hashlib.sha256(trusted.read_bytes()).hexdigest()
    theirs = NoTrainInceptionV3("fid", ["2048"], str(trusted), antialias=False)
    expected = theirs(images.repeat(1, 3, 1, 1))
    assert expected.std() > 1e-2
    torch.testing.assert_close(features, expected, atol=1e-5, rtol=1e-4)


def test_the_other_resizers_follow_their_definitions_and_have_their_own_names(trusted):
    images = random_images(2, 3, 80, 96)
    clean, none = Inception(trusted, "clean"), Inception(trusted, "none")
    size, mode = (299, 299), "bicubic"
    resized = F.interpolate(images.float(), size, mode=mode, antialias=True).clamp(0, 255)
    at_size = Inception(trusted)(resized.round().to(torch.uint8))  # the published one leaves 299 px alone
    torch.testing.assert_close(clean(images)[0], at_size[0], rtol=0.02, atol=0.02)
    assert none(random_images(1, 3, 299, 299))[0].equal(Inception(trusted)(random_images(1, 3, 299, 299))[0])
    assert not torch.allclose(none(images)[0], clean(images)[0], rtol=0.02, atol=0.02)
    assert [e.metric_name("fd") for e in (Inception(trusted), clean, none)] == ["fid", "clean_fid", "unresized_fid"]
    with pytest.raises(UserError, match="at least 75 px"):
        none(random_images(1, 3, 64, 80))
    with pytest.raises(UserError, match="choose tf, clean, none"):
        Inception(trusted, "nearest")


def test_spatial_features_are_a_part_of_the_map_of_mixed_6(trusted):
    """The block of TensorFlow's mixed_6 is torchvision's Mixed_6d; its first convolution is the branch of 1×1."""
    images, seen = random_images(3, 1, 40, 48), []
    whole, spatial = Inception(trusted), InceptionSpatial(trusted)
    whole.network.Mixed_6d.branch1x1.register_forward_hook(lambda _, __, found: seen.append(found))
    whole(images)
    features, logits = spatial(images)
    assert seen[0].shape == (3, 192, 17, 17) and features.shape == (3, 2023) == (3, spatial.dim)
    torch.testing.assert_close(features, seen[0][:, :7].flatten(1))
    assert features.std() > 1e-3 and logits.shape == (3, 0)
    assert (spatial.metric_name("fd"), spatial.metric_name("kd")) == ("sfid", "kd_inception_spatial")


def test_a_wrong_inception_file_is_refused_before_it_is_unpickled(random_inception):
    with pytest.raises(UserError, match=r"6726825d.*another file.*extractor=general"):
        Inception(random_inception)
    with pytest.raises(UserError, match=r"not at .*nowhere\.pth"):
        Inception(random_inception.parent / "nowhere.pth")


def test_offline_one_sentence_names_the_file_and_its_place(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(UserError) as caught:
        inception_weights(url="http://127.0.0.1:9/weights-inception-2015-12-05-6726825d.pth")
    place = tmp_path / "hub" / "checkpoints" / "weights-inception-2015-12-05-6726825d.pth"
    assert f"put {place.name} at {place}" in str(caught.value) and "extractor=general" in str(caught.value)
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


def test_fetch_checks_the_hash_and_leaves_no_partial_file(server, tmp_path):
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


def test_a_wrong_download_says_where_to_put_the_right_file(server, tmp_path, monkeypatch):
    address, folder = server
    (folder / "weights.pth").write_bytes(b"a portal's login page")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(UserError, match=r"could not be downloaded.*put weights.pth at"):
        inception_weights(url=f"{address}/weights.pth")


def test_the_copy_of_torch_hub_is_used_without_a_network(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    place = tmp_path / "hub" / "checkpoints" / "w.pth"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"there")
    monkeypatch.setattr(module, "INCEPTION_SHA256", hashlib.sha256(b"there").hexdigest()[:8])
    assert inception_weights(url="http://127.0.0.1:9/w.pth") == place


def test_a_silent_server_times_out(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(OSError, match="timed out"):
        fetch(f"http://127.0.0.1:{mute.getsockname()[1]}/file", tmp_path / "file", "00", timeout=0.2)
    assert not list(tmp_path.iterdir())


def test_missing_weights_can_fall_back_to_our_extractor(tmp_path):
    with pytest.warns(UserWarning, match=r"not at .*absent.*The extractor colour is used instead"):
        found = inception(str(tmp_path / "absent"), fallback="colour")
    assert found.name == "colour"
    with pytest.raises(UserError, match="run python -m gan_lab"):
        inception(str(tmp_path / "absent"))


def test_the_command_downloads_once_and_checks(server, tmp_path, monkeypatch, capsys):
    from gan_lab import fetch as command

    address, folder = server
    (folder / "weights-6726825d.pth").write_bytes(b"weights")
    monkeypatch.setattr(module, "INCEPTION_URL", f"{address}/weights-6726825d.pth")
    monkeypatch.setattr(module, "INCEPTION_SHA256", hashlib.sha256(b"weights").hexdigest()[:8])
    monkeypatch.setattr(sys, "argv", ["fetch", "inception", f"to={tmp_path / 'kept'}"])
    command.fetch()
    assert (tmp_path / "kept" / "weights-6726825d.pth").read_bytes() == b"weights"
    (folder / "weights-6726825d.pth").unlink()
    command.fetch()  # it is there
    assert capsys.readouterr().out.count("complete and verified") == 2
