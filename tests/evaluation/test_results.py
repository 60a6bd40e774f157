import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from gan_lab.common.images import to_uint8
from gan_lab.evaluation.evaluators.samples import SampleEvaluator


@pytest.fixture
def report(doubles, tmp_path):
    def make(model=None, **kwargs):
        options = {
            "n": 100,
            "batch_size": 16,
            "cache_dir": tmp_path,
            "progress": False,
            "metrics": doubles.TWO,
            **kwargs,
        }
        evaluator = SampleEvaluator(doubles.ImageData(), extractors=[doubles.Projection()], **options)
        return evaluator.evaluate(model or doubles.Sampler())

    return make


def test_the_distance_equals_the_reference_on_the_same_images(doubles, report):
    extractor = doubles.Projection()
    images = doubles.ImageData().pixels, to_uint8(doubles.Sampler().sample(100, seed=3))
    statistics = [fid_features_to_statistics(extractor(side)[0].double()) for side in images]
    expected = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert report(seed=3).metrics["fd_fake"] == pytest.approx(expected, rel=1e-6)


def test_the_batch_size_does_not_matter(report):
    assert report(batch_size=7).metrics == pytest.approx(report(batch_size=100).metrics, rel=1e-6)


def test_the_record_is_plain_and_has_the_protocol(doubles, report):
    record = report(truncation=0.5, limit=150, seed=4).record()
    assert json.loads(json.dumps(record)) == record
    protocol = record["protocol"]
    assert (protocol["samples"], protocol["real"], protocol["split"], protocol["precision"]) == (
        100,
        150,
        "train",
        "fp32",
    )
    assert (protocol["seed"], protocol["truncation"]) == (4, 0.5)
    assert protocol["extractors"]["fake"]["sha256"] == doubles.Projection.sha256
    assert torch.__version__.startswith(protocol["versions"]["torch"])
    assert protocol["data"] == {"name": "images", "count": 200}
    assert sum(record["curves"]["shares_fake"]) == pytest.approx(1)


def test_metrics_are_named_by_the_extractor(report):
    names = {"fd_fake", "cs_fake", "cs_fake_std", "fd_fake_gaussian", "cs_fake_gaussian", "cs_fake_real"}
    names |= {"fd_fake_real"}  # of held-out images
    assert set(report().metrics) == names


def test_the_random_state_stays_as_it_was(report):
    before = torch.random.get_rng_state()
    report()
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("world", [2, 4])
def test_several_processes_agree_with_one(doubles, tmp_path, world):
    """Also with samples for one rank alone, and a cache that only one rank has."""
    script = str(Path(__file__).with_name("doubles.py"))
    command = [sys.executable, script, str(tmp_path)]
    with ExitStack() as running:
        others = [
            running.enter_context(subprocess.Popen([*command, str(rank), str(world)], stdout=subprocess.PIPE))
            for rank in range(1, world)
        ]
        one = doubles.share(0, 1, tmp_path / "alone")
        ranks = [doubles.join(tmp_path, 0, world), *(json.loads(other.stdout.read()) for other in others)]
    assert sorted(number for rank in ranks for number in rank["asked"]) == list(range(101)) == one["asked"]
    assert sorted(part for rank in ranks for part in rank["carried"]) == sorted(one["carried"])
    assert [rank["seen_again"] for rank in ranks] == [12] + [0] * (world - 1)
    for rank in ranks:
        assert rank["distance"] == pytest.approx(one["distance"], rel=1e-9)
        assert rank["distance_of_few"] == pytest.approx(one["distance_of_few"], rel=1e-9)
        assert rank["figures"] == pytest.approx(one["figures"], rel=1e-5)  # kernels of float32 on fewer threads
        assert rank["curves"]["shares_fake"] == pytest.approx(one["curves"]["shares_fake"])
        assert rank["curves"]["spectrum_fake"] == pytest.approx(one["curves"]["spectrum_fake"], rel=1e-9)
        assert rank["domains"] == pytest.approx(one["domains"], rel=1e-5, abs=1e-7)
        assert rank["translation"] == pytest.approx(one["translation"], rel=1e-5, abs=1e-7)
        for mine, its in zip(rank["score"], one["score"], strict=True):
            assert mine == pytest.approx(its, rel=1e-9)
    names = {"fd_inf_fake", "authenticity_fake", "apart", "brightness", "fd_fake_class_1", "few_fd_fake"}
    assert names <= set(one["figures"])
    assert not (tmp_path / "cache1").exists()
