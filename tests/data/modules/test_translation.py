import pickle
from itertools import islice

import numpy as np
import pytest
import torch
from PIL import Image

from gan_lab.common.capabilities import RealImages, TwoDomains
from gan_lab.common.domains import Domain
from gan_lab.common.errors import UserError
from gan_lab.data import presets
from gan_lab.data.modules.translation import TranslationDataModule
from gan_lab.data.sources.arrays import ArrayImages

PLAIN = {"a": {"channels": 1, "labels": 0}, "b": {"channels": 1, "labels": 0}}
COLOUR = {"a": {"channels": 3, "labels": 0}, "b": {"channels": 3, "labels": 0}}
LABELS = {"a": {"channels": 3, "labels": 5}, "b": {"channels": 3, "labels": 0}}


class Numbered:
    """Images whose pixels are their number; those of "b" count from 100 on."""

    def __init__(self, a, b, size=(4, 4), test=3):
        self.counts, self.size, self.test = {"a": a, "b": b}, size, test

    def domain_splits(self):
        return {side: {"train": self._images(start, n), "test": self._images(start + n, self.test)}
                for (side, n), start in zip(self.counts.items(), (0, 100), strict=True)}  # fmt: skip

    def _images(self, start, count):
        return ArrayImages(
            np.tile(np.arange(start, start + count, dtype=np.uint8)[:, None, None, None], (1, 1, *self.size))
        )


def module(source, paired=False, **options):
    defaults = {"name": "it", "domains": PLAIN, "size": 4, "load_size": 4, "batch_size": 2}
    return TranslationDataModule(source, paired=paired, **defaults | options)


def first_pixels(data, batches, name):
    return [batch[name][:, 0, 0, 0].tolist() for batch in islice(data.train_dataloader(), batches)]


def test_the_module_satisfies_its_capability():
    data = module(Numbered(20, 7), domains=PLAIN)
    assert isinstance(data, TwoDomains) and all(isinstance(side, RealImages) for side in data.sides.values())
    assert [data.sides[side].count(split) for side in "ab" for split in ("train", "test")] == [20, 3, 7, 3]
    assert torch.cat(list(data.sides["b"].images("test")))[:, 0, 0, 0].tolist() == [107, 108, 109]
    assert torch.cat(list(data.sides["a"].images("train", 5)))[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4]
    assert data.domains == {"a": Domain(1), "b": Domain(1)}
    assert data.describe()["a"]["splits"]["test"]["count"] == 3
    assert data.sides["a"].fingerprint("test") != data.sides["b"].fingerprint("test")


def test_unpaired_domains_have_their_own_permutations():
    data = module(Numbered(20, 7))
    assert data.train_dataloader().per_epoch == 10
    a, b = (np.array(first_pixels(data, 12, side)).ravel() for side in "ab")
    assert sorted(a[:20]) == list(range(20))
    assert all(len(set(b[6 * e : 6 * e + 6])) == 6 for e in range(4)) and set(b) == set(range(100, 107))
    equal = module(Numbered(40, 40))
    a, b = (np.array(first_pixels(equal, 20, side)).ravel() for side in "ab")
    assert (a == b - 100).mean() < 0.2, "sides of equal length are not aligned"


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("paired", [False, True])
def test_a_resumed_loader_continues_and_ranks_share_batches(monkeypatch, paired, workers):
    data = presets.fake_domains(
        11, LABELS, 8, paired, name="it", batch_size=2, seed=3, workers=workers, preprocess="resize_and_crop"
    )

    class Trainer:
        def __init__(self, iteration, rank=0, world=1):
            self.lightning_module = type("Module", (), {"iteration": iteration})()
            self.global_rank, self.world_size = rank, world

    def batches(*place, count=4):
        data.trainer = Trainer(*place)
        return list(islice(data.train_dataloader(), count))

    names = ("source", "target") if paired else ("a", "b")
    whole, later = batches(0, count=9), batches(5)
    parts = [batches(5, rank, 2) for rank in (0, 1)]
    for number in range(4):
        for name in names:
            expected = whole[5 + number][name]
            assert torch.equal(later[number][name], expected)
            assert torch.equal(torch.cat([part[number][name] for part in parts]), expected)


def test_pairs_share_crop_and_flip_and_labels_stay_exact():
    """The image is the label map in grey levels, so that both must get the same transforms."""
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 7, (30, 1, 12, 12)).astype(np.uint8)

    class Source:
        def domain_splits(self):
            return {"a": {"all": ArrayImages(ids)}, "b": {"all": ArrayImages(ids * 40)}}

    domains = {"a": {"labels": 5}, "b": {"channels": 1}}
    data = TranslationDataModule(Source(), "it", domains, True, 9, 4, load_size=12, flip=True)
    seen = set()
    for batch in islice(data.train_dataloader(), 12):
        assert torch.equal(batch["source"] * 40, batch["target"])
        flat = batch["source"].numpy()
        windows = [ids[:, :, y : y + 9, x : x + 9] for y in range(4) for x in range(4)]
        for image in flat:
            places = [(n, bool(f)) for f in (0, 1) for n, w in enumerate(windows)
                      if (w[..., ::-1] == image if f else w == image).all((1, 2, 3)).any()]  # fmt: skip
            assert len(places) == 1
            seen.add(places[0])
    assert len(seen) > 15
    encoded = data.on_after_batch_transfer(batch, 0)
    assert encoded["source"].shape == (4, 5, 9, 9) and encoded["target"].dtype == torch.float32
    assert torch.equal(encoded["source"].sum(1), (batch["source"][:, 0] < 5).float()), "ids from K up are none"


def test_metrics_get_whole_images_at_the_size():
    image = np.zeros((2, 1, 8, 16), np.uint8)
    image[..., 8:] = 200

    class Source:
        def domain_splits(self):
            return {side: {"train": ArrayImages(image), "test": ArrayImages(image)} for side in "ab"}

    data = TranslationDataModule(Source(), "it", PLAIN, False, 8, 1)
    whole = next(data.sides["a"].images("test"))
    assert whole.shape == (2, 1, 8, 8) and abs(whole.float().mean() - 100) < 1
    assert next(iter(data.train_dataloader()))["a"].shape == (1, 1, 8, 8)
    assert data.resize_spec("a", training=True).target_size == (9, 9)


@pytest.fixture
def photos(tmp_path):
    for side, shapes in (("A", [(30, 20), (20, 41)]), ("B", [(64, 32), (18, 18)])):
        for split in ("train", "test"):
            (tmp_path / f"{split}{side}").mkdir()
            for number, shape in enumerate(shapes):
                pixels = np.random.default_rng(number).integers(0, 256, (*shape[::-1], 3), np.uint8)
                Image.fromarray(pixels).save(tmp_path / f"{split}{side}" / f"{number}.png")
    return tmp_path


@pytest.mark.parametrize(
    ("preprocess", "whole", "trained"),
    [
        ("resize_and_crop", [(16, 16), (16, 16)], {(16, 16)}),
        ("crop", [(20, 32), (40, 20)], {(16, 16)}),
        ("scale_width", [(12, 16), (32, 16)], {(12, 16), (32, 16)}),
        ("scale_width_and_crop", [(12, 16), (32, 16)], {(16, 16)}),
        ("scale_shortside", [(16, 24), (32, 16)], {(16, 24), (32, 16)}),
        ("none", [(20, 32), (40, 20)], {(20, 32), (40, 20)}),
    ],
)
def test_preprocess_modes(photos, preprocess, whole, trained):
    """Images of 30 × 20 and 20 × 41 (width first) at size 16; sizes computed by hand."""
    data = presets.unpaired(str(photos), name="it", domains=COLOUR, size=16, batch_size=1, preprocess=preprocess)
    assert [tuple(batch.shape[2:]) for batch in data.sides["a"].images("test") for _ in batch] == whole
    assert {tuple(batch["a"].shape[2:]) for batch in islice(data.train_dataloader(), 8)} == trained
    assert data.sides["a"].count("train") == 2 and data.describe()["a"]["preprocess"] == preprocess


def test_crop_keeps_stored_pixels(photos):
    data = presets.unpaired(
        str(photos), name="it", domains=COLOUR, size=16, batch_size=2, preprocess="crop", flip=False
    )
    originals = [np.asarray(Image.open(photos / "trainA" / f"{n}.png")).transpose(2, 0, 1) for n in (0, 1)]
    for image in next(iter(data.train_dataloader()))["a"].numpy():
        windows = [np.lib.stride_tricks.sliding_window_view(each, (3, 16, 16)) for each in originals]
        assert any((window == image).all((-3, -2, -1)).any() for window in windows)


def test_images_of_different_sizes_cannot_share_a_batch(photos):
    data = presets.unpaired(
        str(photos), name="it", domains=COLOUR, size=16, batch_size=2, preprocess="none", cache="memory"
    )
    with pytest.raises(UserError, match=r"preprocess=none leaves .*batch_size=1"):
        data.train_dataloader()


def test_a_pickled_ragged_set_is_mapped_again(photos):
    data = presets.unpaired(str(photos), name="it", domains=COLOUR, size=16, batch_size=1, preprocess="none")
    kept = data.rendered("train", training=True)["a"]
    sent = pickle.loads(pickle.dumps(kept))
    assert isinstance(sent.pixels.flat, np.memmap) and sent.fingerprint() == kept.fingerprint()
    assert all(np.array_equal(sent.pixels[row], kept.pixels[row]) for row in (0, 1))


def test_halves_must_have_one_size(photos):
    data = presets.paired(str(photos), name="it", domains=COLOUR, paired=True, size=16, batch_size=1, preprocess="none")
    with pytest.raises(UserError, match=r"halves of pairs .*resize_and_crop"):
        data.setup("fit")


def test_an_unreadable_half_drops_the_pair(make_folder):
    root = make_folder(
        [f"{split}{side}/{n:03}.png" for split in ("train", "test") for side in "AB" for n in range(120)]
    )
    whole = presets.paired(str(root), name="it", domains=COLOUR, paired=True, size=8, batch_size=1)
    before = {side: torch.cat(list(whole.sides[side].images("train"))) for side in "ab"}
    (root / "trainA/007.png").write_bytes(b"no")
    (root / "trainB/050.png").write_bytes(b"no")
    data = presets.paired(str(root), name="it", domains=COLOUR, paired=True, size=8, batch_size=1)
    kept = [n for n in range(120) if n not in (7, 50)]
    for side in "ab":
        assert torch.equal(torch.cat(list(data.sides[side].images("train"))), before[side][kept])
        assert set(data.sides[side].describe()["splits"]["train"]["unreadable"]) == {"007.png", "050.png"}


def test_limit_and_held_out_rows_are_those_of_both_halves():
    class Source:
        def domain_splits(self):
            values = np.arange(50, dtype=np.uint8)[:, None, None, None]
            tile = (1, 1, 4, 4)
            return {
                "a": {"all": ArrayImages(np.tile(values, tile))},
                "b": {"all": ArrayImages(np.tile(values + 100, tile))},
            }

    data = module(Source(), paired=True, limit=9, seed=4)
    for split, count in (("train", 9), ("test", 5)):
        a, b = (torch.cat(list(data.sides[side].images(split)))[:, 0, 0, 0].int() for side in "ab")
        assert len(a) == count and torch.equal(a + 100, b)
    (source, target) = (np.array(first_pixels(data, 8, name)) for name in ("source", "target"))
    assert np.array_equal(source + 100, target)


def test_a_domain_smaller_than_a_batch_repeats_its_images_each_with_its_own_crop():
    batches = first_pixels(module(Numbered(20, 7), batch_size=10), 400, "b")
    counts = np.array([[values.count(100 + number) for number in range(7)] for values in batches])
    assert counts.min() >= 0 and counts.max() <= 2 and (counts.sum(1) == 10).all()
    assert np.ptp(counts.mean(0)) < 0.15, "each of them as often as the others"
    one = Numbered(4, 1, size=(16, 16))
    one._images = lambda _, count: ArrayImages(np.arange(256 * count, dtype=np.uint8).reshape(count, 1, 16, 16))
    assert len(set(first_pixels(module(one, batch_size=4, load_size=16), 1, "b")[0])) > 1


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"preprocess": "zoom"}, r"data\.preprocess=zoom .*resize_and_crop, crop, scale_width"),
        ({"domains": {"a": {"channels": 2}, "b": {}}}, r"data\.domains\.a\.channels=2 "),
        ({"domains": {"a": {}, "b": {"labels": 300}}}, r"data\.domains\.b\.labels=300 "),
        ({"load_size": 3}, r"data\.load_size=3 is less than data\.size=4"),
        ({"load_size": [4]}, r"data\.load_size=\[4\] "),
        ({"limit": 0}, r"data\.limit=0 "),
        ({"batch_size": 21}, "fewer than batch_size=21"),
    ],
)
def test_invalid_values_are_refused_in_one_sentence(options, what):
    with pytest.raises(UserError, match=what) as refusal:
        module(Numbered(20, 7), **options).train_dataloader()
    assert "\n" not in str(refusal.value)


def test_a_resumed_run_knows_both_domains_again():
    known = module(Numbered(20, 7)).identities()
    counts = {"train, a": 20, "train, b": 7, "test, a": 3, "test, b": 3}
    assert {split: each["count"] for split, each in known.items()} == counts
    assert module(Numbered(20, 7), seed=4, flip=False, batch_size=1).identities() == known
    other = module(Numbered(20, 8)).identities()
    assert [split for split in known if other[split] != known[split]] == ["train, b", "test, b"]
