import json

import pytest
import torch
from domains import Carrier, Side, TwoSides, networks, pictures, two_sides
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from gan_lab.common.domains import Domain
from gan_lab.common.errors import UserError
from gan_lab.common.images import save_png, to_float, to_uint8
from gan_lab.data import presets
from gan_lab.evaluation.evaluators.translations import TranslationEvaluator
from gan_lab.evaluation.features.extractors import Colour
from gan_lab.evaluation.metrics.frechet import FrechetDistance
from gan_lab.evaluation.metrics.image_statistics import SpectrumComparison
from gan_lab.evaluation.metrics.kernel import KernelDistance, kernel_distance
from gan_lab.evaluation.metrics.score import Score
from gan_lab.evaluation.metrics.sliced import PatchDistance
from gan_lab.evaluation.metrics.translation import pair_metrics
from gan_lab.evaluation.metrics.wavelet import WaveletDistance
from gan_lab.inference.translation import translated


@pytest.fixture
def evaluate(doubles, tmp_path):
    def make(model, data, n=100, extractors=None, **kwargs):
        metrics = {"distance": FrechetDistance, "score": Score, "kernel": KernelDistance}
        options = {"cache_dir": tmp_path, "progress": False, **kwargs}
        return TranslationEvaluator(data, n, extractors or [doubles.Projection(768)], metrics, **options).evaluate(
            model
        )

    return make


def shifted(by):
    return lambda image: image + by


def frechet(a, b):
    statistics = [fid_features_to_statistics(x.double()) for x in (a, b)]
    return fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]


def test_distances_are_those_of_the_images_features(doubles, evaluate):
    data, projection = two_sides(), doubles.Projection(768)
    metrics = evaluate(Carrier(shifted(0.25), shifted(-0.5)), data).metrics
    a, b = (data.sides[side].splits["test"][0] for side in "ab")
    train = data.sides["b"].splits["train"][0][2::3]  # 10 of 30, as many as there are translations
    features = {name: projection(pixels)[0] for name, pixels in (("a", a), ("b", b), ("train", train))}
    features["a2b"], features["b2a"] = (projection(to_uint8(to_float(x) + by))[0] for x, by in ((a, 0.25), (b, -0.5)))
    for name, (fake, real) in {
        "a2b": ("a2b", "b"),
        "b2a": ("b2a", "a"),
        "a2b_untranslated": ("a", "b"),
        "b2a_untranslated": ("b", "a"),
        "a2b_real": ("train", "b"),
    }.items():
        assert metrics[f"fd_fake_{name}"] == pytest.approx(frechet(features[fake], features[real]), rel=1e-5)
        kernel = kernel_distance(features[fake], features[real])
        assert metrics[f"kd_fake_{name}"] == pytest.approx(kernel.value, rel=1e-5)
        assert metrics[f"kd_fake_{name}_error"] == pytest.approx(kernel.error, rel=1e-5)
    assert list(metrics)[:2] == ["fd_fake", "kd_fake"]
    assert metrics["fd_fake"] == pytest.approx((metrics["fd_fake_a2b"] + metrics["fd_fake_b2a"]) / 2)


IMAGE_METRICS = {"wavelet": WaveletDistance, "patches": PatchDistance, "spectrum": SpectrumComparison}


def direct(kind, real, fake):
    metric = kind(tuple(real.shape[1:]))
    metric.update(real, True)
    metric.update(fake, False)
    return metric.compute()


def test_images_are_compared_in_each_direction(tmp_path):
    data, options = two_sides(), {"cache_dir": tmp_path, "progress": False}
    model = Carrier(shifted(0.25), shifted(-0.5))
    result = TranslationEvaluator(data, 100, [], IMAGE_METRICS, **options).evaluate(model)
    a, b = (data.sides[side].splits["test"][0] for side in "ab")
    train = data.sides["b"].splits["train"][0][2::3]
    to_b = to_uint8(to_float(a) + 0.25)
    for kind, name in ((WaveletDistance, "fwd"), (PatchDistance, "swd")):
        for infix, fake in (("a2b", to_b), ("a2b_untranslated", a), ("a2b_real", train)):
            assert result.metrics[f"{name}_{infix}"] == pytest.approx(direct(kind, b, fake)[name], rel=1e-5)
        both = result.metrics[f"{name}_a2b"] + result.metrics[f"{name}_b2a"]
        assert result.metrics[name] == pytest.approx(both / 2)
    assert result.metrics["spectrum_a2b"] == pytest.approx(direct(SpectrumComparison, b, to_b)["spectrum"], rel=1e-4)
    assert set(result.curves) == {f"spectrum_{way}_{side}" for way in ("a2b", "b2a") for side in ("real", "fake")}
    assert result.protocol["metrics"]["wavelet"] == {"level": 2, "wavelet": "Haar"}


def test_images_of_unequal_form_are_not_compared(tmp_path):
    ragged = Side(test=[pictures(3, 0), pictures(3, 1, (3, 16, 20))], train=pictures(6, 2))
    for data in (TwoSides(ragged, ragged), TwoSides(two_sides().sides["a"], two_sides(shape=(3, 8, 16)).sides["b"])):
        metrics = {"distance": FrechetDistance, **IMAGE_METRICS}
        options = {"cache_dir": tmp_path, "progress": False}
        result = TranslationEvaluator(data, 100, [Colour()], metrics, **options).evaluate(Carrier(shifted(0)))
        assert "fd_colour_a2b" in result.metrics and not result.failed
        assert not {name for name in result.metrics if name.startswith(("fwd", "swd", "spectrum"))}


def test_cycle_and_identity_errors_are_the_closed_form(evaluate):
    metrics = evaluate(Carrier(shifted(0.25), shifted(-0.1)), two_sides()).metrics
    errors = [metrics[name] for name in ("cycle_a", "cycle_b", "identity_b", "identity_a")]
    assert errors == pytest.approx([0.15, 0.15, 0.25, 0.1], abs=1e-6)
    one_way = evaluate(Carrier(shifted(0.25)), two_sides()).metrics
    assert "identity_b" in one_way and not {"cycle_a", "identity_a", "l1_a2b"} & set(one_way)


def test_pairs_are_compared_one_by_one(evaluate):
    a = pictures(9, 0)
    side = Side(test=a, train=a)
    data, model = TwoSides(side, Side(test=a + 20, train=a), paired=True), Carrier(shifted(0))
    metrics = evaluate(model, data, pairs=pair_metrics(model, data)).metrics
    off = (to_float(a + 20) - to_float(a)).abs().mean()
    assert metrics["l1_a2b"] == pytest.approx(off.item(), rel=1e-5)
    assert 0 < metrics["ssim_a2b"] < 1 and metrics["pd_colour_a2b"] > 0
    same = TwoSides(side, side, paired=True)
    metrics = evaluate(model, same, pairs=pair_metrics(model, same)).metrics
    assert [metrics[f"{name}_a2b"] for name in ("l1", "pd_colour", "ssim")] == pytest.approx([0, 0, 1], abs=1e-6)


def test_sets_that_cannot_be_pairs_raise(evaluate):
    model = Carrier(shifted(0))
    with pytest.raises(UserError, match="10 and 13 test images cannot be pairs"):
        pair_metrics(model, two_sides())
    data = TwoSides(Side(test=pictures(4, 0), train=pictures(4, 0)), two_sides(b=4, shape=(3, 32, 8)).sides["b"])
    with pytest.raises(UserError, match=r"\(16, 16\) and its target of \(32, 8\)"):
        evaluate(model, data, pairs=pair_metrics(model, data))


@pytest.mark.parametrize("same", [True, False])
def test_unpaired_files_are_pairs_only_under_the_same_names(tmp_path, same):
    for side, names in (("A", "cats"), ("B", "cats" if same else "dogs")):
        for split in ("train", "test"):
            (tmp_path / f"{split}{side}").mkdir()
            for number in range(2):
                save_png(tmp_path / f"{split}{side}" / f"{names}{number}.png", pictures(1, number)[0])
    data = presets.unpaired(str(tmp_path), name="x", domains={"a": {}, "b": {}}, size=16, batch_size=1)
    if same:
        assert "l1" in pair_metrics(Carrier(shifted(0)), data)["a2b"]
    else:
        with pytest.raises(UserError, match="called cats0 and dogs0 cannot be pairs: leave out paired=true"):
            pair_metrics(Carrier(shifted(0)), data)


def test_label_maps_have_the_share_of_wrong_pixels(doubles, evaluate):
    ids = torch.randint(0, 3, (6, 1, 16, 16), dtype=torch.uint8)
    domains = {"a": Domain(), "b": Domain(labels=3)}
    photos = pictures(6, 0)
    data = TwoSides(Side(test=photos, train=photos), Side(test=ids, train=ids), True, domains)
    always_one = torch.tensor([0.1, 0.9, 0.2]).view(1, 3, 1, 1)
    model = Carrier(lambda image: always_one.expand(len(image), 3, *image.shape[2:]), domains=domains)
    metrics = evaluate(model, data, pairs=pair_metrics(model, data)).metrics
    assert metrics["wrong_a2b"] == pytest.approx((ids != 1).float().mean().item())
    assert "l1_a2b" not in metrics and "identity_b" not in metrics
    uniform = doubles.Projection(768)(to_uint8(domains["b"].visualize(always_one.expand(6, 3, 16, 16))))[0]
    real = doubles.Projection(768)(to_uint8(domains["b"].visualize(domains["b"].encode(ids))))[0]
    assert metrics["fd_fake_a2b"] == pytest.approx(frechet(uniform, real), rel=1e-4)


def test_images_of_any_size_are_padded_for_the_network_and_cropped():
    model = networks()
    image = torch.rand(2, 3, 17, 22) * 2 - 1
    assert translated(model, image, "b").shape == image.shape
    assert model.asked == [("b", 0, 2, (20, 24))]
    padded = torch.nn.functional.pad(image, (0, 2, 0, 3), mode="reflect")
    with torch.no_grad():
        assert torch.equal(translated(model, image, "b"), model.translator("b")(padded)[..., :17, :22])


def test_ragged_batches_and_any_batch_size_give_the_same_metrics(evaluate):
    batches = [pictures(3, i, (3, *size)) for i, size in enumerate([(16, 16), (10, 21), (17, 12)])]
    ragged, model = Side(test=batches, train=batches), networks()
    data = TwoSides(ragged, two_sides().sides["b"])
    results = [evaluate(model, data, extractors=[Colour()], batch_size=size) for size in (2, 256)]
    assert results[0].metrics == pytest.approx(results[1].metrics, rel=1e-4, abs=1e-6)
    assert results[0].protocol["directions"]["a2b"] == {"translated": 9, "real": 13, "floor": 9}
    assert ("b", 6, 2, (20, 12)) in model.asked


def test_the_record_is_plain_and_has_the_protocol(evaluate):
    data = two_sides()
    record = evaluate(networks(), data, n=8, seed=5).record()
    assert json.loads(json.dumps(record)) == record
    protocol = record["protocol"]
    assert protocol["directions"] == {way: {"translated": 8, "real": 8, "floor": 8} for way in ("a2b", "b2a")}
    assert (protocol["split"], protocol["seed"], protocol["precision"], protocol["paired"]) == (
        "test",
        5,
        "fp32",
        False,
    )
    assert protocol["data"]["b"] == {"counts": {"test": 13, "train": 30}}
    assert protocol["extractors"]["fake"]["dim"] == 8 and protocol["versions"]["torch"]


def test_too_few_images_raise(evaluate):
    with pytest.raises(UserError, match="at least 3 images of each set, but a2b has 2 to translate, 13 to"):
        evaluate(Carrier(shifted(0)), two_sides(a=2))
