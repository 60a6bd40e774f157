import pytest
import torch
from domains import Side, pictures

from gan_lab.metrics import features
from gan_lab.metrics.features import FeatureTable, real_features, spread
from gan_lab.types import Domain


def numbered(*sizes, count=4):
    """Batches of pictures of several sizes, each picture filled with its number."""
    batches, first = [], 0
    for size in sizes:
        batches.append(torch.arange(first, first + count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, *size))
        first += count
    return Side(test=batches, train=batches)


def chosen(side, n, size=256):
    return [(start, part[:, 0, 0, 0].tolist()) for start, part in spread(side, "test", n, size)]


def test_pictures_are_spread_evenly_and_parts_numbered():
    side = numbered((8, 8), (6, 10), (8, 8))
    assert chosen(side, 12) == [(0, [0, 1, 2, 3]), (4, [4, 5, 6, 7]), (8, [8, 9, 10, 11])]
    assert chosen(side, 4) == [(0, [2]), (1, [5]), (2, [8, 11])]
    assert chosen(side, 5, size=1) == [(0, [2]), (1, [4]), (2, [7]), (3, [9]), (4, [11])]


def test_parts_of_large_pictures_are_small(monkeypatch):
    monkeypatch.setattr(features, "PIXELS", 128)
    assert [len(part) for _, part in spread(numbered((8, 8), (32, 32)), "test", 8)] == [2, 2, 1, 1, 1, 1]


def test_a_table_takes_rows_in_any_order_and_only_once():
    rows = torch.randn(5, 3)
    table = FeatureTable(3, 5)
    table.update(rows[3:], 3)
    with pytest.raises(RuntimeError, match="Of 5 pictures 3 were not counted"):
        table.compute()
    table = FeatureTable(3, 5)
    for start in (3, 0):
        table.update(rows[start : start + (2 if start else 3)], start)
    assert torch.equal(table.compute(), rows)


def test_real_features_are_the_extractors_and_cached(doubles, tmp_path):
    side, extractor = Side(test=pictures(9, 0, (3, 4, 4)), train=pictures(3, 1, (3, 4, 4))), doubles.Projection()
    arguments = {"cache_dir": tmp_path, "progress": False}
    found = real_features(side, "test", 9, Domain(), extractor, **arguments)
    torch.testing.assert_close(found, doubles.Projection()(side.splits["test"][0])[0])
    assert torch.equal(real_features(side, "test", 9, Domain(), extractor, **arguments), found)
    assert extractor.seen == 9
    real_features(side, "test", 5, Domain(), extractor, **arguments)
    assert extractor.seen == 14


def test_maps_are_seen_in_their_colours(doubles, tmp_path):
    ids = torch.randint(0, 3, (4, 1, 4, 4), dtype=torch.uint8)
    domain = Domain(labels=3)
    arguments = {"cache_dir": tmp_path, "progress": False}
    found = real_features(Side(test=ids), "test", 4, domain, doubles.Projection(), **arguments)
    colours = features.to_uint8(domain.visible(domain.encode(ids)))
    torch.testing.assert_close(found, doubles.Projection()(colours)[0])
