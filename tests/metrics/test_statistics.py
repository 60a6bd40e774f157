import warnings

import numpy as np
import pytest
import torch

from gan_lab.metrics import statistics
from gan_lab.metrics.statistics import gaussian_statistics, real_statistics, sampled_statistics


@pytest.fixture
def real(doubles, tmp_path):
    """Statistics of pictures and how many of them the extractor saw for it."""

    def compute(data, **kwargs):
        extractor = doubles.Projection()
        found = real_statistics(data, "train", extractor, cache_dir=tmp_path, progress=False, **kwargs)
        return found, extractor.seen

    return compute


def same(a, b):
    assert (a.moments.count, a.score, a.score_std) == (b.moments.count, b.score, b.score_std)
    assert all(
        map(
            torch.equal,
            (a.moments.mean, a.moments.covariance, a.shares),
            (b.moments.mean, b.moments.covariance, b.shares),
        )
    )


def test_are_those_of_the_features(doubles, real):
    data = doubles.Pictures()
    found, _ = real(data)
    features = doubles.Projection()(data.pixels)[0].double().numpy()
    np.testing.assert_allclose(found.moments.mean, features.mean(0), rtol=1e-9)
    np.testing.assert_allclose(found.moments.covariance, np.cov(features, rowvar=False), rtol=1e-6, atol=1e-8)
    assert found.shares.sum() == pytest.approx(1)


def test_a_cached_split_never_meets_the_extractor(doubles, real):
    first, seen = real(doubles.Pictures())
    second, again = real(doubles.Pictures())
    assert (seen, again) == (200, 0)
    same(first, second)


def test_other_pictures_limits_and_extractors_are_computed_anew(doubles, real, tmp_path, monkeypatch):
    data = doubles.Pictures()
    real(data)
    assert real(data, limit=64)[1] == 64
    assert real(data, limit=64)[1] == 0
    data.pixels[0, 0, 0, 0] ^= 1
    assert real(data)[1] == 200
    monkeypatch.setattr(doubles.Projection, "sha256", "1" * 64)
    assert real(data)[1] == 200
    monkeypatch.setattr(statistics, "_VERSION", 0)
    assert real(data)[1] == 200


@pytest.mark.parametrize("damage", [lambda b: b[:-9], lambda b: b"", lambda b: b"\xff" * len(b)])
def test_a_broken_cache_is_computed_anew_with_a_warning(doubles, real, tmp_path, damage):
    first, _ = real(doubles.Pictures())
    (path,) = tmp_path.rglob("*.safetensors")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.warns(UserWarning, match="computed anew"):
        second, seen = real(doubles.Pictures())
    assert seen == 200
    same(first, second)
    assert real(doubles.Pictures())[1] == 0
    assert not list(tmp_path.rglob(".*"))


def test_a_cache_that_cannot_be_written_only_warns(doubles, tmp_path):
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="could not be cached"):
        real_statistics(doubles.Pictures(), "train", doubles.Projection(), cache_dir=tmp_path / "file", progress=False)


def test_the_cache_is_where_the_environment_says(doubles, tmp_path, monkeypatch):
    monkeypatch.setenv("GAN_LAB_CACHE", str(tmp_path))
    real_statistics(doubles.Pictures(), "train", doubles.Projection(), progress=False)
    assert list(tmp_path.rglob("*.safetensors"))


def test_the_gaussian_is_cached_by_number_and_seed(doubles, tmp_path):
    data, extractor = doubles.Pictures(), doubles.Projection()
    arguments = {"cache_dir": tmp_path, "progress": False}
    first = gaussian_statistics(data, extractor, 100, **arguments)
    same(first, gaussian_statistics(data, extractor, 100, batch_size=7, **arguments))
    assert extractor.seen == 100
    gaussian_statistics(data, extractor, 101, **arguments)
    gaussian_statistics(data, extractor, 100, seed=1, **arguments)
    assert extractor.seen == 301


def test_samples_are_asked_for_once_each_and_leave_no_gradients(doubles):
    model = doubles.Sampler()
    (found,) = sampled_statistics(model, [doubles.Projection()], 37, batch_size=8, progress=False)
    assert model.asked == list(range(37))
    assert found.moments.count == 37


def test_a_wrong_count_is_no_figure(doubles):
    tally = statistics.Tally(doubles.Projection(), 12, "cpu")
    tally.update(0, doubles.Pictures(count=11).pixels)
    with pytest.raises(RuntimeError, match="11 pictures were counted where 12"):
        tally.statistics()


def test_nothing_warns_in_ordinary_use(doubles, real):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        real(doubles.Pictures())
        real(doubles.Pictures())
