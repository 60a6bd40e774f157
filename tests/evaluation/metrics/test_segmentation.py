"""Whether a segmenter finds label maps in images that were generated from them."""

from functools import partial

import pytest
import torch
from domains import Carrier, Side, TwoSides
from torch import nn

from gan_lab.common.domains import Domain
from gan_lab.common.images import to_float
from gan_lab.evaluation.evaluators.translations import TranslationEvaluator
from gan_lab.evaluation.metrics import shared_parts
from gan_lab.evaluation.metrics.segmentation import Segmentation
from gan_lab.evaluation.model_metric import EvalOptions
from gan_lab.evaluation.trained_segmenter import Confusion, class_weights, overlaps, pixel_accuracy, train_segmenter
from gan_lab.networks.segmentation import SegmentationUNet

MAPS = Domain(labels=3, ids=(10, 20, 30))
COLOURS = torch.tensor([[220, 30, 30], [30, 220, 30], [30, 30, 220], [120, 120, 120]], dtype=torch.uint8)


def maps(n, seed):
    """Blocks of 8 px of the three classes, and now and then of none, uint8 (n, 1, 16, 16)."""
    blocks = torch.randint(0, 4, (n, 1, 2, 2), generator=torch.Generator().manual_seed(seed))
    return torch.tensor([10, 20, 30, 255], dtype=torch.uint8)[blocks.repeat_interleave(8, 2).repeat_interleave(8, 3)]


def painted(ids):
    """Each class in its colour, uint8 (n, 3, H, W)."""
    return COLOURS[MAPS.numbers(ids)].permute(0, 3, 1, 2)


def streets(paired=True):
    a = Side(train=maps(24, 0), test=maps(6, 1))
    b = Side(train=painted(maps(24, 0)), test=painted(maps(6, 1)))
    return TwoSides(a, b, paired=paired, domains={"a": MAPS, "b": Domain()})


def model(colours=COLOURS):
    """Paints each class in a colour."""

    def paint(one_hot):
        return to_float(
            colours[torch.cat([one_hot, 1 - one_hot.sum(1, keepdim=True)], 1).argmax(1)].permute(0, 3, 1, 2)
        )

    return Carrier(paint, domains={"a": MAPS, "b": Domain()})


class Nearest(nn.Module):
    """Finds the class with the nearest colour, without training; counts how often it is made."""

    made = 0

    def __init__(self, channels, labels, scale=1.0):
        super().__init__()
        Nearest.made += 1
        self.register_buffer("colours", to_float(COLOURS[:labels]) * scale)

    def forward(self, images):
        return -(images[:, None] - self.colours[..., None, None]).square().sum(2)


def values(model, data, **options):
    metric = Segmentation(**options)
    metric.update(model, data)
    return metric.compute()


def test_counts_are_those_of_a_loop_over_pixels():
    random = torch.Generator().manual_seed(0)
    truth, found = (torch.randint(0, high, (5, 6, 7), generator=random) for high in (4, 3))
    table = Confusion(3)
    for row in range(5):
        table.update(torch.stack([truth[row], found[row]])[None], torch.tensor([row]))
    pairs = [(int(t), int(f)) for t, f in zip(truth.flatten(), found.flatten(), strict=True) if t < 3]
    assert table.compute().tolist() == [[pairs.count((t, f)) for f in range(3)] for t in range(3)]
    expected = [sum(t == f == k for t, f in pairs) / sum(k in pair for pair in pairs) for k in range(3)]
    assert overlaps(table.compute()).tolist() == pytest.approx(expected)
    assert pixel_accuracy(table.compute()) == pytest.approx(sum(t == f for t, f in pairs) / len(pairs))
    absent = overlaps(torch.tensor([[2, 1], [0, 0]]))
    assert absent[0] == 2 / 3 and absent[1].isnan(), "a class that no map has does not count"


def test_rare_classes_weigh_more_and_pixels_without_a_class_nothing():
    classes = torch.tensor([0] * 16 + [1] * 4 + [2] + [3] * 9)  # K is 3
    assert class_weights(classes, 3).tolist() == pytest.approx([0.5, 1.0, 2.0])


@pytest.mark.parametrize("swapped", [False, True])
def test_a_model_that_follows_the_map_has_the_values_of_real_images(tmp_path, swapped):
    data = streets()
    colours = COLOURS[[1, 0, 2, 3]] if swapped else COLOURS
    found = values(model(colours), data, segmenter=Nearest, steps=0)
    assert found["miou_a2b.real"] == found["pixel_accuracy_a2b.real"] == 1
    shares = torch.stack([(data.sides["a"].splits["test"][0] == number).sum() for number in MAPS.ids]).double()
    expected = {"miou": 1 / 3, "pixel_accuracy": float(shares[2] / shares.sum())} if swapped else {}
    for name in ("miou", "pixel_accuracy"):
        assert found[f"{name}_a2b"] == pytest.approx(expected.get(name, 1.0))


def test_ranks_share_the_images(monkeypatch):
    data, wrong = streets(), COLOURS[[1, 0, 2, 3]]
    alone = values(model(wrong), data, segmenter=Nearest, steps=0)
    metrics = [Segmentation(Nearest, steps=0) for _ in range(2)]
    for rank, metric in enumerate(metrics):
        monkeypatch.setattr(shared_parts, "rank_and_world_size", lambda rank=rank: (rank, 2))
        metric.update(model(wrong), data, EvalOptions(batch_size=2, progress=False))
    for name, table in metrics[0].tables.items():
        table.table = table.table + metrics[1].tables[name].table
    assert metrics[0].compute() == alone


def test_a_segmenter_is_trained_once_for_a_set_and_its_arguments(tmp_path):
    data, seen = streets(), []

    def evaluated(**options):
        metrics = {"it": partial(Segmentation, steps=2, n_train=20, **options)}
        evaluator = TranslationEvaluator(data, 4, [], metrics, cache_dir=str(tmp_path), progress=False)
        result = evaluator.evaluate(model())
        files = len(list((tmp_path / "statistics").glob("*.safetensors")))
        seen.append(
            (
                files,
                [result.metrics[f"{name}_a2b{end}"] for name in ("miou", "pixel_accuracy") for end in ("", "_real")],
            )
        )
        return result

    protocol = evaluated().protocol["metrics"]["it"]
    assert protocol["segmenter"] == "gan_lab.networks.segmentation.SegmentationUNet" and protocol["steps"] == 2
    assert protocol["trained_on"] == {"a2b": 20}
    assert protocol["on_real"] == {"miou_a2b": seen[0][1][1], "pixel_accuracy_a2b": seen[0][1][3]}
    torch.manual_seed(7)
    evaluated()
    evaluated(seed=1)
    evaluated(segmenter=partial(SegmentationUNet, filters=4))
    assert seen[0] == seen[1] and [files - seen[0][0] for files, _ in seen] == [0, 0, 1, 2]


def test_training_is_a_function_of_the_seed_and_finds_the_classes():
    images, classes = painted(maps(24, 0)), MAPS.numbers(maps(24, 0))
    before = torch.get_rng_state()
    make = partial(SegmentationUNet, filters=8)
    one, same, other = (train_segmenter(make, images, classes, 3, 40, 8, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    shown, truth = to_float(painted(maps(6, 1))), MAPS.numbers(maps(6, 1))
    assert torch.equal(one(shown), same(shown)) and not torch.equal(one(shown), other(shown))
    assert (one(shown).argmax(1) == truth)[truth < 3].float().mean() > 0.85


def test_it_applies_to_pairs_of_label_maps_and_images():
    metric = Segmentation()
    assert metric.applies_to(model(), streets()) and not metric.applies_to(model(), streets(paired=False))
    images = Carrier(lambda image: image)
    assert not metric.applies_to(images, TwoSides(Side(test=maps(3, 0)), Side(test=maps(3, 0)), paired=True))


def test_logits_have_the_size_of_the_image():
    network = SegmentationUNet(3, 5, filters=4)
    assert network(torch.zeros(2, 3, 19, 30)).shape == (2, 5, 19, 30)
