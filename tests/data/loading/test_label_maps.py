"""The ids in label maps: counted, described, and refused where they are not those of the classes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_lab.common.domains import Domain
from gan_lab.common.errors import UserError
from gan_lab.data import presets
from gan_lab.data.loading.label_maps import check_ids, describe_ids
from gan_lab.data.reading.images import read_image

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("labels", "stated", "found"),
    [
        *((2, (), [0, 1]), (2, (0, 255), [0, 255]), (2, (), [0, 1, 255]), (19, (), [*range(19), 255])),
        *((3, (7, 8, 26), [0, 7, 8, 26, 255]), (4, (), [0, 2])),
    ],
)
def test_ids_that_fit(labels, stated, found):
    check_ids(dict.fromkeys(found, 5), Domain(labels=labels, ids=stated), "data.domains.b")


@pytest.mark.parametrize(
    ("labels", "stated", "found", "advice"),
    [
        (2, (), [0, 255], "labels=2 does not fit label maps with the ids 0, 255: give data.domains.b.ids=[0,255]."),
        (4, (), [0, 85, 170, 255], "give data.domains.b.ids=[0,85,170,255]."),
        (3, (), [0, 1, 2, 3], "give data.domains.b.labels=4, or data.domains.b.ids=[…] with the id of each class."),
        (2, (0, 128), [255], "ids=[0, 128] does not fit label maps with the ids 255"),
        (1, (), [0, 255], "give data.domains.b.labels=256, or data.domains.b.ids"),
    ],
)
def test_ids_past_the_classes_are_refused_with_the_key_that_maps_them(labels, stated, found, advice):
    with pytest.raises(UserError) as refusal:
        check_ids(dict.fromkeys(found, 5), Domain(labels=labels, ids=stated), "data.domains.b")
    assert advice in str(refusal.value)


def test_ids_are_described_with_their_shares():
    text = describe_ids({0: 60, 1: 30, 255: 10}, Domain(labels=2))
    assert text == "class ids 0 (60.0%), 1 (30.0%); no class: 255 (10.0%)"


def pairs(folder, ids):
    for kind, values in (("A", RNG.integers(0, 256, ids.shape)), ("B", ids)):
        (folder / f"train{kind}").mkdir(parents=True)
        for number, each in enumerate(values.astype(np.uint8)):
            Image.fromarray(each).save(folder / f"train{kind}/{number}.png")
    return str(folder)


def module(root, **domain):
    domains = {"a": {"channels": 1}, "b": {"labels": 2, **domain}}
    options = {"preprocess": "none", "flip": False, "paired": True, "cache": "memory"}
    return presets.paired(root, name="it", domains=domains, size=8, batch_size=2, **options)


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    """The same label maps in black and white, and as 0 and 1."""
    ids = RNG.integers(0, 2, (10, 8, 8))
    folder = tmp_path_factory.mktemp("masks")
    return pairs(folder / "zeroone", ids), pairs(folder / "blackwhite", 255 * ids)


def test_black_and_white_maps_are_refused_or_mapped_to_the_same(roots):
    zeroone, blackwhite = roots
    with pytest.raises(UserError, match=r"the ids 0, 255: give data\.domains\.b\.ids=\[0,255\]"):
        module(blackwhite).setup("fit")
    module(blackwhite).setup("test")  # an old model's data are measured as before
    plain, mapped = module(zeroone), module(blackwhite, ids=[0, 255])
    for data in (plain, mapped):
        data.setup("fit")
    one, two = (next(data.sides["b"].images("train")) for data in (plain, mapped))
    encoded = plain.domains["b"].encode(one)
    assert torch.equal(encoded, mapped.domains["b"].encode(two)) and encoded.sum(1).eq(1).all()
    assert torch.equal(mapped.domains["b"].decode(encoded), two), "written as they were stored"
    assert torch.equal(plain.domains["b"].decode(encoded), one)
    assert mapped.describe()["b"]["ids"] == [0, 255] and "ids" not in plain.describe()["b"]


def test_ids_that_training_refuses_are_not_explained_before(roots, caplog):
    caplog.set_level("INFO")
    module(roots[1]).prepare_data()
    assert "it, b, train" in caplog.text and "class" not in caplog.text
    module(roots[1], ids=[0, 255]).prepare_data()
    assert "class ids 0" in caplog.text


@pytest.mark.parametrize("ids", [[0], [0, 0], [0, 256], [-1, 3]])
def test_ids_must_be_one_for_each_class(roots, ids):
    with pytest.raises(UserError, match=r"data\.domains\.b\.ids=.* of each of the 2 classes"):
        module(roots[0], ids=ids)


def test_a_label_map_that_is_translated_has_a_note_on_other_ids(roots):
    for root, noted in ((roots[0], []), (roots[1], ["pixels with the ids 255, which are no class of the model"])):
        with Path(root, "trainB/0.png").open("rb") as file:
            assert read_image(file, Domain(labels=2)).notes == noted
