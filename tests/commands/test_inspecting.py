"""The command inspect, with a GAN and a variational autoencoder."""

import json

import numpy as np
import pytest
from PIL import Image

from gan_lab.common.errors import UserError
from gan_lab.inspect import inspect
from gan_lab.train import train


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photographs of 16 px with label maps, and models of them, trained for a moment."""
    folder = tmp_path_factory.mktemp("inspecting")
    random = np.random.default_rng(0)
    for name in ("photos", "labels"):
        (folder / name).mkdir()
    for number in range(12):
        classes = np.repeat(random.integers(0, 3, (4, 4), np.uint8), 4, 0).repeat(4, 1)
        Image.fromarray(classes).save(folder / "labels" / f"{number}.png")
        pixels = (80 * classes[..., None] + random.integers(0, 40, (16, 16, 3))).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "photos" / f"{number}.png")
    short = ["data=folder", f"data.root={folder / 'photos'}", "data.size=16", "data.flip=false", "batch_size=4"]
    short += ["budget.images=8", "trainer=cpu", "logger=none", "callbacks.fidelity=null", "callbacks.samples=null"]
    short += ["scale=paper"]
    train.run(
        "model=dcgan", f"run_dir={folder / 'gan'}", "model.generator.base=8", "model.discriminator.base=4", *short
    )
    train.run("model=vae", f"run_dir={folder / 'vae'}", "model.prior.dim=3", *short)
    return folder


def run(folder, output, *more, model="gan"):
    inspect.run(f"checkpoint={folder / model}", f"output={output}", "device=cpu", "n=3", *more)
    return json.loads((output / "inspect.json").read_text())


def size(path):
    with Image.open(path) as image:
        return image.size


def test_units_of_each_class_are_listed_and_switched(folder, tmp_path, capsys):
    units = ["do=units", f"images={folder / 'photos'}", f"labels={folder / 'labels'}", "samples=8", "shown=1"]
    record = run(folder, tmp_path, *units, "names=[dark,middle,light]", "classes=[light,0]", "count=2")
    said = capsys.readouterr().out
    assert "of the pixels of 2 held-out images right" in said and "light, with 2 units switched: before" in said
    assert [*record["classes"]] == ["dark", "middle", "light"] and [*record["switched"]] == ["light", "dark"]
    assert sum(row["share"] for row in record["classes"].values()) == pytest.approx(1)
    assert len(record["classes"]["dark"]["units"]) == 2 and record["segmenter"]["accuracy"] > 0.9
    assert record["switched"]["light"]["shares"].keys() == {"before", "off", "on", "others off"}
    assert {path.name for path in tmp_path.iterdir()} == {
        "inspect.json", "units.png", "switched_light.png", "switched_dark.png"
    }  # fmt: skip
    assert size(tmp_path / "units.png")[1] == 3 * 66 + 2


def test_saliency_shows_images_and_logits(folder, tmp_path):
    record = run(folder, tmp_path / "samples", "do=saliency", "repeats=2")
    assert len(record["logits"]) == 3 and size(tmp_path / "samples" / "saliency.png")[1] == 3 * 66 + 2
    record = run(folder, tmp_path / "own", "do=saliency", "repeats=2", f"input={folder / 'photos' / '0.png'}")
    assert len(record["logits"]) == 1


def test_nearest_finds_the_training_image_that_is_given(folder, tmp_path):
    record = run(folder, tmp_path / "own", "do=nearest", f"input={folder / 'photos' / '4.png'}", "split=whole", "k=2")
    for view in ("features", "pixels"):
        (row,) = record[view]["neighbours"]
        assert row["distances"][0] == pytest.approx(0, abs=1e-3) and len(row["numbers"]) == 2
    assert size(tmp_path / "own" / "nearest_pixels.png") == (3 * 66 + 2, 66 + 2)
    assert len(run(folder, tmp_path / "vae", "do=nearest", model="vae")["features"]["neighbours"]) == 3


def test_what_cannot_be_inspected_is_refused(folder, tmp_path):
    labels = [f"images={folder / 'photos'}", f"labels={folder / 'labels'}"]
    for words, model, wrong in (
        ("VAE has no discriminator of images", "vae", ["do=saliency"]),
        ("do=saliency does not read k=", "gan", ["do=saliency", "k=2"]),
        ("do=units does not read count=", "gan", ["do=units", *labels, "count=2"]),
        ("There is no class sky in the label maps: they have 0, 1, 2", "gan", ["do=units", *labels, "classes=[sky]"]),
        ("names= must name the 3 classes 0, 1, 2", "gan", ["do=units", *labels, "names=[a,b]"]),
        ("layers=.7. names no maps", "gan", ["do=units", *labels, "layers=[7]"]),
    ):
        with pytest.raises(UserError, match=words):
            run(folder, tmp_path / "out", *wrong, model=model)
    assert not (tmp_path / "out").exists()
