"""Sizes and channels that nobody has given are those of the user's images, where the model can be built for them."""

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from gan_lab.cli.config.compose import compose, resolve
from gan_lab.cli.config.found_data import use_found_formats
from gan_lab.common.errors import UserError
from gan_lab.common.wording import counted


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GAN_LAB_CACHE", str(tmp_path / "cache"))


def write(folder, size=(48, 48), mode="L", count=2):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.new(mode, size).save(folder / f"{mode}{number}.png")
    return folder


FOLDER = compose(["model=dcgan", "data=folder"])


def used(root, *overrides, base=FOLDER):
    """The size and the channels that a run uses."""
    config = OmegaConf.merge(base, OmegaConf.from_dotlist([f"data.root={root}", *overrides]))
    use_found_formats(config)
    data = resolve(config)["data"]
    return data["size"], data.get("channels")


@pytest.mark.parametrize(
    ("size", "mode", "expected"),
    [
        ((48, 48), "L", (48, 1)),
        ((28, 28), "RGB", (28, 3)),
        ((64, 64), "L", (64, 1)),
        ((32, 48), "L", ([48, 32], 1)),
        ((50, 50), "L", (64, 1)),
        ((96, 96), "L", (64, 1)),
        ((32, 80), "RGB", (64, 3)),
    ],
)
def test_the_images_own_size_is_used_up_to_the_models_if_it_can_be_built(tmp_path, size, mode, expected):
    assert used(write(tmp_path / "in", size, mode)) == expected


def test_images_of_several_sizes_and_colours_get_the_models_size_in_colour(tmp_path):
    write(tmp_path / "in")
    write(tmp_path / "in", mode="RGB", count=1)
    assert used(tmp_path / "in") == (48, 3)
    write(tmp_path / "in", (40, 40), "RGB")
    assert used(tmp_path / "in") == (64, 3)


def test_what_is_given_is_left_alone(tmp_path):
    root = write(tmp_path / "in")
    assert used(root, "data.size=64") == (64, 1)
    assert used(root, "data.channels=3") == (48, 3)
    assert used(root, "data.size=32", "data.channels=3") == (32, 3)


def test_it_is_said_in_one_line(tmp_path, caplog):
    with caplog.at_level("INFO"):
        used(write(tmp_path / "in"))
    assert [record.message for record in caplog.records] == [
        "Data folder: 2 images of 48×48 px, grey; used at data.size=48 data.channels=1."
    ]


def test_the_test_split_counts_too(tmp_path):
    write(tmp_path / "in" / "train")
    write(tmp_path / "in" / "test", mode="RGB")
    assert used(tmp_path / "in") == (48, 3)


def test_two_domains_have_one_size_and_channels_of_their_own(tmp_path):
    base = compose(["model=cyclegan", "data=unpaired"])
    write(tmp_path / "trainA", (64, 64))
    write(tmp_path / "trainB", (64, 64), "RGB")
    config = OmegaConf.merge(base, {"data": {"root": str(tmp_path)}})
    use_found_formats(config)
    data, model = resolve(config)["data"], resolve(config)["model"]
    assert data["size"] == 64 and [data["domains"][side]["channels"] for side in "ab"] == [1, 3]
    assert (model["a2b"]["channels"], model["a2b"]["out_channels"]) == (1, 3)


def test_a_size_that_the_translator_refuses_is_left_alone(tmp_path):
    base = compose(["model=cyclegan", "data=unpaired"])
    for folder in ("trainA", "trainB"):
        write(tmp_path / folder, (16, 16))
    config = OmegaConf.merge(base, {"data": {"root": str(tmp_path)}})
    use_found_formats(config)
    assert resolve(config)["data"]["size"] == 256


def test_label_maps_keep_their_classes(tmp_path):
    base = compose(["model=pix2pix", "data=paired", "data.domains.a.labels=3"])
    for folder in ("trainA", "trainB"):
        write(tmp_path / folder, (32, 32))
    config = OmegaConf.merge(base, {"data": {"root": str(tmp_path)}})
    use_found_formats(config)
    assert resolve(config)["data"]["domains"] == {
        "a": {"channels": 3, "labels": 3, "ids": None},
        "b": {"channels": 1, "labels": 0, "ids": None},
    }


@pytest.mark.parametrize("data", ["digits", "horse2zebra", "fake", "colorize", "mnist"])
def test_other_data_are_not_looked_at(data, monkeypatch):
    monkeypatch.setattr("gan_lab.cli.config.found_data._formats", lambda data: pytest.fail())
    use_found_formats(compose([f"data={data}"]))


@pytest.mark.parametrize(
    ("modes", "shape", "expected"),
    [("L", None, 1), ("L", (3, 8, 8), 1), ("L", (3, 8, 8, 3), 3), ("LR", None, 3)],
)
def test_recordings_have_their_own_colours(tmp_path, caplog, modes, shape, expected):
    for number, mode in enumerate(modes):
        write(tmp_path / "in" / str(number), mode={"L": "L", "R": "RGB"}[mode])
    if shape:
        np.save(tmp_path / "in" / "array.npy", np.zeros(shape, np.uint8))
    base = compose(["model=simvp", "data=frames"])
    with caplog.at_level("INFO"):
        assert used(tmp_path / "in", base=base) == (64, expected)
    count = len(modes) + bool(shape)
    assert (
        f"Data frames: {counted(count, 'recording')}, " in caplog.text
        and f"used at data.size=64 data.channels={expected}." in (caplog.text)
    )


def test_missing_images_are_refused_before_anything_is_built(tmp_path):
    with pytest.raises(UserError, match=r"data\.root=.*nothing does not exist"):
        used(tmp_path / "nothing")
