"""Discriminators' verdicts on real and translated images of both domains."""

import csv
from types import SimpleNamespace

import pytest
import torch
from domains import Carrier, two_sides
from translators import node

from gan_lab.common.capabilities import Discriminates
from gan_lab.common.domains import Domain
from gan_lab.common.instantiate import instantiate
from gan_lab.training.callbacks.confusion import Confusion, verdicts
from gan_lab.training.loggers import CSV


class Judged(Carrier):
    """Domain b is the brighter one; its discriminator's logit is the brightness, and a's the negative brightness."""

    discriminated, decision_threshold, images_seen = ("a", "b"), 0.0, 0

    def logits(self, image, of, source):
        return (image if of == "b" else -image).mean((1, 2, 3))

    def sync_buffers(self):
        pass


def make_model(**more):
    model = Judged(lambda image: image + 2, lambda image: image - 2)
    for name, value in more.items():
        setattr(model, name, value)
    return model


DATA = two_sides(a=5, b=7)


def test_shares_that_each_discriminator_takes_for_real():
    """Test images of a are darker than mid-grey and those of b brighter; translations lie far on the other side."""
    found = verdicts(make_model(), DATA, n=4)
    assert {key[1:]: round(value) for key, value in found.items() if key[0] == "made"} == {
        ("a", "a"): 1, ("a", "b"): 0, ("b", "a"): 0, ("b", "b"): 1}  # fmt: skip
    assert found["real", "a", "a"] > 0.5 > found["real", "a", "b"] == pytest.approx(1 - found["real", "a", "a"])
    assert found["real", "b", "b"] > 0.5


def test_without_a_decision_threshold_there_are_mean_logits():
    found = verdicts(make_model(decision_threshold=None), DATA, n=4)
    assert found["made", "b", "b"] == pytest.approx(found["real", "a", "b"] + 2, abs=1e-5)


def test_one_direction_and_one_discriminator_leave_the_rest_out():
    model = Judged(lambda image: image + 2)
    model.discriminated = ("b",)
    assert set(verdicts(model, DATA, n=4)) == {("real", "a", "b"), ("real", "b", "b"), ("made", "b", "b")}


def test_a_discriminator_judges_only_images_with_its_channels():
    model = make_model(domains={"a": Domain(1), "b": Domain()})
    model.ways = {"b": lambda image: image.expand(-1, 3, -1, -1), "a": lambda image: image[:, :1]}
    data = two_sides(a=5, b=5, domains=model.domains)
    data.sides["a"].splits = {name: [part[:, :1] for part in parts] for name, parts in data.sides["a"].splits.items()}
    assert set(verdicts(model, data, n=4)) == {(kind, side, side) for kind in ("real", "made") for side in "ab"}


@pytest.mark.parametrize("method", ["cyclegan.CycleGAN", "pix2pix.Pix2Pix"])
def test_verdicts_are_those_of_the_methods_discriminators(method):
    """pix2pix's discriminator sees the source concatenated to the image."""
    pix2pix = method.startswith("pix2pix")
    options = {}
    configuration = node(method, **options)
    if pix2pix:
        configuration["discriminator"] = configuration["discriminator"] | {"channels": 6}
    model = instantiate(configuration)
    assert isinstance(model, Discriminates) and model.decision_threshold == 0.5
    image, source = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32)
    discriminator = (model.discriminator if pix2pix else model.discriminator_b).eval()
    with torch.no_grad():
        expected = discriminator(torch.cat([source, image], 1) if pix2pix else image)
    assert torch.allclose(model.logits(image, "b", source), expected, atol=1e-5)
    assert tuple(model.discriminated) == (("b",) if pix2pix else ("a", "b"))
    found = verdicts(model, two_sides(a=3, b=3, shape=(3, 32, 32), paired=pix2pix), n=2)
    assert set(found) >= {("real", "b", "b"), ("made", "b", "b")} and all(0 <= value <= 1 for value in found.values())


def test_metrics_and_a_heatmap_are_logged_when_due_and_at_the_end(tmp_path, monkeypatch):
    images = []
    monkeypatch.setattr("gan_lab.training.callbacks.confusion.log_image", lambda _, *logged: images.append(logged))
    model, trainer = make_model(), SimpleNamespace(loggers=[CSV(tmp_path)], is_global_zero=True, datamodule=DATA)
    callback = Confusion(every=16, n=4)
    for _ in range(3):
        model.images_seen += 8
        callback.on_train_batch_end(trainer, model, {}, {}, 0)
    callback.on_train_end(trainer, model)
    callback.on_train_end(trainer, model)
    trainer.loggers[0].save()
    with (tmp_path / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["images"], row["confusion/critic_b/made_b"]) for row in rows] == [("16", "1"), ("24", "1")]
    assert [(name, step) for name, _, step in images] == [("confusion", 16), ("confusion", 24)]
    assert images[0][1].shape == (3, 6 * 48, 3 * 96)


def test_a_model_without_discriminators_is_skipped(tmp_path):
    plain = Carrier(lambda image: image)
    plain.images_seen = 99
    trainer = SimpleNamespace(loggers=[CSV(tmp_path)], is_global_zero=True, datamodule=DATA)
    Confusion(every=1).on_train_batch_end(trainer, plain, {}, {}, 0)
    Confusion(every=1).on_train_end(trainer, plain)
    assert not list(tmp_path.iterdir())
