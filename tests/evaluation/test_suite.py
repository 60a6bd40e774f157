"""Statistics that are accumulated once and cached, and metrics that are left out."""

import warnings
from functools import partial

import pytest
import torch

from gan_lab.evaluation import statistic_set, suite
from gan_lab.evaluation.evaluators.samples import SampleEvaluator
from gan_lab.evaluation.factories import metric_name
from gan_lab.evaluation.feature_table import FeatureTable
from gan_lab.evaluation.features.general import General
from gan_lab.evaluation.image_sets import SampledImages, SplitImages
from gan_lab.evaluation.metrics import gaussian_kernel, kernel, neighbours
from gan_lab.evaluation.metrics.frechet import FeatureMoments, FrechetDistance
from gan_lab.evaluation.metrics.frechet_ratio import FrechetRatio
from gan_lab.evaluation.metrics.gaussian_baseline import GaussianImages
from gan_lab.evaluation.metrics.gaussian_kernel import GaussianKernelDistance
from gan_lab.evaluation.metrics.kernel import KernelDistance
from gan_lab.evaluation.metrics.precision_recall import PrecisionRecall
from gan_lab.evaluation.statistic_set import StatisticSet, total_variance
from gan_lab.evaluation.statistics import Comparison, NotApplicableError
from gan_lab.evaluation.suite import Suite


@pytest.fixture
def evaluate(doubles, tmp_path):
    """Evaluates 40 samples; returns the metrics, and how many other images the extractor saw."""

    def make(data, metrics=None, limit=None, cache_dir=tmp_path, baselines=None, **options):
        extractor = doubles.Projection()
        built = Suite(
            metrics or doubles.TWO,
            [extractor],
            SplitImages(data, "train", limit),
            baselines,
            cache_dir=cache_dir,
            progress=False,
        )
        metrics, _ = built.evaluate(SampledImages(doubles.Sampler(), (3, 4, 4), 40, **options))
        return metrics, extractor.seen - 40

    return make


def test_an_unchanged_split_is_never_extracted_again(doubles, evaluate):
    first, seen = evaluate(doubles.ImageData(), doubles.ALL)
    again, seen_again = evaluate(doubles.ImageData(), doubles.ALL)
    assert (seen, seen_again) == (200, 0)
    assert first == again


class FailingCount(statistic_set.ImageCount):
    def accumulate(self, values, index):
        raise MemoryError("no room")


class Failing(Comparison):
    """Fails to be built, to take images, or to compare them."""

    input = "images"

    def __init__(self, where="compare"):
        if where == "build":
            raise ValueError("no such thing")
        super().__init__(*((FailingCount if where == "accumulate" else statistic_set.ImageCount)() for _ in range(2)))

    def compare(self, real, fake):
        raise ZeroDivisionError("by zero")


@pytest.mark.parametrize(
    ("where", "error"), [("build", ValueError), ("accumulate", MemoryError), ("compare", ZeroDivisionError)]
)
def test_a_metric_that_fails_is_missing_and_the_others_are_measured(doubles, tmp_path, where, error):
    data = doubles.ImageData()
    fake = SampledImages(doubles.Sampler(), (3, 4, 4), 40)
    metrics = {"failing": partial(Failing, where=where), **doubles.TWO}
    baselines = {"gaussian": GaussianImages(data, 40)}
    sets = SplitImages(data, "train"), baselines
    whole, broken = (
        Suite(chosen, [doubles.Projection()], *sets, cache_dir=tmp_path, progress=False)
        for chosen in (doubles.TWO, metrics)
    )
    for _ in range(2):  # the second time, the real side of what failed is new
        assert broken.evaluate(fake) == whole.evaluate(fake)
        assert [(name, type(each)) for name, each in broken.failed.items()] == [("failing", error)]


def test_a_baseline_that_fails_is_missing_and_tried_again(doubles, tmp_path, monkeypatch):
    data = doubles.ImageData()
    built = Suite(
        doubles.TWO,
        [doubles.Projection()],
        SplitImages(data, "train"),
        {"gaussian": GaussianImages(data, 40)},
        cache_dir=tmp_path,
        progress=False,
    )
    fake = SampledImages(doubles.Sampler(), (3, 4, 4), 40)
    with monkeypatch.context() as patch:
        patch.setattr(GaussianImages, "batches", lambda *_: 1 / 0)
        found, _ = built.evaluate(fake)
    assert "fd_fake" in found and "fd_fake_gaussian" not in found and list(built.failed) == ["gaussian"]
    found, _ = built.evaluate(fake)
    assert "fd_fake_gaussian" in found and not built.failed


def test_other_images_limits_and_extractors_are_extracted_anew(doubles, evaluate, monkeypatch):
    data = doubles.ImageData()
    evaluate(data)
    assert [evaluate(data, limit=64)[1], evaluate(data, limit=64)[1]] == [64, 0]
    data.pixels[0, 0, 0, 0] ^= 1
    assert evaluate(data)[1] == 200
    monkeypatch.setattr(doubles.Projection, "sha256", "1" * 64)
    assert evaluate(data)[1] == 200
    monkeypatch.setattr(statistic_set, "CACHE_VERSION", 0)
    assert evaluate(data)[1] == 200


@pytest.mark.parametrize("damage", [lambda b: b[:-9], lambda b: b"", lambda b: b"\xff" * len(b)])
def test_a_broken_cache_is_computed_anew_with_a_warning(doubles, evaluate, tmp_path, damage):
    first, _ = evaluate(doubles.ImageData())
    for path in tmp_path.rglob("*.safetensors"):
        path.write_bytes(damage(path.read_bytes()))
    with pytest.warns(UserWarning, match="computed anew"):
        second, seen = evaluate(doubles.ImageData())
    assert (seen, second) == (200, first)
    assert evaluate(doubles.ImageData())[1] == 0
    assert not list(tmp_path.rglob(".*"))


def test_a_cache_that_cannot_be_written_only_warns(doubles, evaluate, tmp_path):
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="could not be cached"):
        evaluate(doubles.ImageData(), cache_dir=tmp_path / "file")


def test_the_cache_is_where_the_environment_says(doubles, evaluate, tmp_path, monkeypatch):
    monkeypatch.setenv("GAN_LAB_CACHE", str(tmp_path / "here"))
    evaluate(doubles.ImageData(), cache_dir=None)
    assert list((tmp_path / "here").rglob("*.safetensors"))


def test_the_gaussian_is_cached_by_its_number_of_samples(doubles, evaluate):
    data = doubles.ImageData()
    seen = [evaluate(data, baselines={"gaussian": GaussianImages(data, n)})[1] for n in (40, 40, 41)]
    assert seen == [240, 0, 41]
    metrics, _ = evaluate(data, baselines={"gaussian": GaussianImages(data, 40)})
    assert 0 < metrics["fd_fake_gaussian"] < metrics["fd_fake"]


def test_equal_statistics_are_accumulated_once(doubles):
    statistics, extractor = StatisticSet("cpu"), doubles.Projection()
    first = statistics.add(extractor, "features", FeatureMoments(8))
    assert statistics.add(extractor, "features", FeatureMoments(8)) is first
    assert statistics.add(extractor, "logits", FeatureMoments(8)) is not first
    assert statistics.add(extractor, "features", FeatureMoments(8, with_factor=True)) is not first


def test_every_metric_has_the_same_value_alone(doubles, evaluate):
    data = doubles.ImageData()
    together, _ = evaluate(data, {"a": KernelDistance, "b": PrecisionRecall, "c": FrechetDistance})
    alone = [evaluate(data, {"x": part})[0] for part in (KernelDistance, PrecisionRecall, FrechetDistance)]
    assert together == {name: value for metrics in alone for name, value in metrics.items()}


def test_a_second_measurement_forgets_the_first_samples(doubles, tmp_path):
    data = doubles.ImageData()
    twice = Suite(doubles.ALL, [doubles.Projection()], SplitImages(data, "train"), cache_dir=tmp_path, progress=False)
    twice.evaluate(SampledImages(doubles.Sampler(), (3, 4, 4), 40, seed=1))
    again, _ = twice.evaluate(SampledImages(doubles.Sampler(), (3, 4, 4), 40))
    once = Suite(doubles.ALL, [doubles.Projection()], SplitImages(data, "train"), cache_dir=tmp_path, progress=False)
    assert again == once.evaluate(SampledImages(doubles.Sampler(), (3, 4, 4), 40))[0]


def test_metrics_get_the_arguments_they_take_or_are_left_out(doubles, evaluate, capsys):
    asked = {}

    class Asking(Comparison):
        def __init__(self, dim, fake, extra=5):
            asked.update(dim=dim, fake=fake, extra=extra)
            super().__init__(FeatureMoments(dim), FeatureMoments(dim))

        def compare(self, real, fake):
            return {"asked": float(fake.count), "asked.all": [1.0]}

    class Wanting(Asking):
        def __init__(self, dim, labels):
            raise AssertionError("there are no labels")

    class Refusing(Asking):
        def __init__(self, dim):
            raise NotApplicableError("it never suits.")

    metrics, _ = evaluate(doubles.ImageData(), {"a": partial(Asking, extra=6), "b": Wanting, "refusing": Refusing})
    assert asked == {"dim": 8, "fake": 40, "extra": 6}
    assert metrics == {"asked_fake": 40}
    assert "refusing is left out: it never suits." in capsys.readouterr().err


def test_a_wrong_count_raises(doubles):
    source = SplitImages(doubles.ImageData(count=11), "train")
    source.n = 12
    with pytest.raises(RuntimeError, match="11 images were counted instead of 12"):
        StatisticSet("cpu").accumulate(source, "cpu", False)


def test_nothing_warns_in_ordinary_use(doubles, evaluate):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate(doubles.ImageData(), doubles.ALL)
        evaluate(doubles.ImageData(), doubles.ALL)


def test_names(doubles):
    extractor = doubles.Projection()
    assert metric_name(extractor, "kd.error", "a2b", "untranslated") == "kd_fake_a2b_untranslated_error"
    assert metric_name(None, "spectrum.real") == "spectrum_real"
    assert metric_name(None, "cas.real.error") == "cas_real_error"
    assert metric_name(extractor, ".label_accuracy") == "label_accuracy"
    extractor.published = {"fd": "fid"}
    assert metric_name(extractor, "fd", "", "gaussian") == "fid_gaussian"


def test_a_relative_distance_is_that_of_as_many_samples_over_that_of_held_out_images(doubles, tmp_path):
    data = doubles.ImageData()
    real, held_out = SplitImages(data, "train"), SplitImages(data, "test", 50)
    baselines = {"gaussian": GaussianImages(data, 60), "real": held_out}
    metrics = {"distance": FrechetDistance, "ratio": FrechetRatio}
    built = Suite(metrics, [doubles.Projection()], real, baselines, cache_dir=tmp_path, progress=False)
    found, _ = built.evaluate(SampledImages(doubles.Sampler(), (3, 4, 4), 60))
    few, _ = built.evaluate(SampledImages(doubles.Sampler(), (3, 4, 4), held_out.n))
    assert found["fdr_fake"] == pytest.approx(few["fd_fake"] / found["fd_fake_real"], rel=1e-6)
    assert "fdr_fake_real" not in found and found["fdr_fake_gaussian"] > 0
    alone = Suite(metrics, [doubles.Projection()], real, {}, cache_dir=tmp_path, progress=False)
    assert "fdr_fake" not in alone.evaluate(SampledImages(doubles.Sampler(), (3, 4, 4), 60))[0]


def test_an_extractor_that_does_not_know_the_images_says_so_and_comes_last(doubles, tmp_path, capsys, monkeypatch):
    data, (narrow, wide) = doubles.ImageData(), (doubles.Projection(), doubles.Projection())
    narrow.name, narrow.spread, wide.name, wide.spread = "narrow", 1e9, "wide", 1e-9
    built = Suite(doubles.TWO, [narrow, wide], SplitImages(data, "train"), {}, cache_dir=tmp_path, progress=False)
    found, _ = built.evaluate(SampledImages(doubles.Sampler(), (3, 4, 4), 40))
    assert [*built.unknown] == ["narrow"] and built.unknown["narrow"] < 0.01
    names = [name for name in found if name.startswith("fd_")]
    assert names == ["fd_wide", "fd_narrow"]
    said = capsys.readouterr().err
    assert "narrow does not know such images" in said and "extractor=general knows more kinds" in said
    monkeypatch.setattr(suite, "total_variance", None)  # the real images stay as they are
    assert built.evaluate(SampledImages(doubles.Sampler(), (3, 4, 4), 40))[0] == found


def test_the_general_extractor_does_not_recommend_itself(doubles, tmp_path, capsys):
    data = doubles.ImageData()
    data.pixels = data.pixels // 8 + 112
    Suite(
        {"distance": FrechetDistance}, [General()], SplitImages(data, "train"), cache_dir=tmp_path, progress=False
    ).evaluate(SampledImages(doubles.Sampler(), (3, 4, 4), 40))
    said = capsys.readouterr().err
    assert "general does not know such images" in said and "extractor=general" not in said
    assert "look at the samples, and at fwd and swd" in said


def test_the_variance_of_a_table_is_computed_in_blocks(monkeypatch):
    monkeypatch.setattr(statistic_set, "ROWS", 30)
    table, sums = FeatureTable(5, 100), FeatureMoments(5)
    rows = torch.randn(100, 5, generator=torch.Generator().manual_seed(0)) + 300
    for each in (table, sums):
        each.update(rows)
        assert total_variance(each) == pytest.approx(rows.double().var(0).sum().item(), rel=1e-9)


def test_what_is_derived_from_the_real_side_is_cached(doubles, tmp_path, monkeypatch):
    metrics = {"pr": doubles.PrecisionRecall, "dc": doubles.DensityCoverage, "kernel": doubles.KernelDistance}
    metrics["cmmd"] = GaussianKernelDistance
    extractor, counted = doubles.Projection(), []

    def evaluate(data):
        evaluator = SampleEvaluator(data, 60, [extractor], metrics, cache_dir=tmp_path, progress=False)
        return evaluator.evaluate(doubles.Sampler()).metrics

    for module, name in ((neighbours, "neighbour_squares"), (kernel, "_sums_within"), (gaussian_kernel, "_sum_within")):
        compute = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda x, *more, compute=compute: (counted.append(len(x)), compute(x, *more))[1]
        )
    first = evaluate(doubles.ImageData())
    assert sorted(counted) == [60] * 7 + [200] * 3  # samples, the Gaussian and held-out images, and once the real
    counted.clear()
    assert evaluate(doubles.ImageData()) == first
    assert 200 not in counted
    assert evaluate(doubles.ImageData(seed=1)) != first
    assert counted.count(200) == 3
