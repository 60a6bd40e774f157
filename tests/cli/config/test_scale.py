"""A scale sets sizes, widths, batches, rates and a length for the machine; what is typed stays."""

import json
from collections import Counter

import pyarrow as pa
import pytest
import torch
from cases import given, names
from omegaconf import OmegaConf
from PIL import Image
from pyarrow import parquet

import gan_lab
from gan_lab.cli.config import scale, scale_facts
from gan_lab.cli.config.checks import _how_to_give_classes, count_classes
from gan_lab.cli.config.compose import compose, resolve
from gan_lab.cli.config.found_data import use_found_formats
from gan_lab.cli.config.scale import Scaled, use_scale
from gan_lab.cli.config.scale_facts import Facts
from gan_lab.cli.config.scale_lines import scale_lines
from gan_lab.common.errors import UserError
from gan_lab.common.instantiate import instantiate
from gan_lab.data.reading.formats import Formats

SCALES = ("laptop", "gpu", "paper")
FAKE = {
    "image": "fake",
    "frames": "fake_clips",
    "unpaired": "fake_unpaired",
    "paired": "fake_paired",
    "damaged": "restoration",
    "domains": "fake_domains",
}


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    """A cache of its own, and no graphics card."""
    monkeypatch.setenv("GAN_LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def write(folder, count, size=(40, 40), mode="RGB", classes=0):
    for number in range(count):
        place = folder / f"c{number % classes}" if classes else folder
        place.mkdir(parents=True, exist_ok=True)
        Image.new(mode, size).save(place / f"{number}.png")
    return folder


def used(*overrides):
    """The configuration that a run with this command line has."""
    return gan_lab.compose("train", *overrides).config


def scaled(monkeypatch, facts, *overrides):
    """What is set for a set of images with these facts, without its files."""
    config = compose(overrides)
    monkeypatch.setattr(scale, "find_facts", lambda _: facts)
    monkeypatch.setattr(scale, "is_own_set", lambda _: True)
    return config, use_scale(config, overrides)


@pytest.mark.parametrize("name", SCALES)
@pytest.mark.parametrize("model", names("model"))
def test_every_model_can_be_built_at_every_scale(model, name):
    plain = compose([f"model={model}"])
    data = [f"data={FAKE[plain.data_kind]}", *(["data.classes=3"] if plain.conditional else [])]
    chosen = [f"model={model}", f"scale={name}", *given(plain)]
    scaled = compose(chosen)
    use_scale(scaled, [])
    config = gan_lab.compose("train", *chosen, *data, f"data.size={scaled.image_size}").config
    assert config["scale"]["name"] == name and "scales" not in config
    if name == "laptop":
        assert config["image_size"] <= 128 and config["batch_size"] <= 100 and config["budget"]["minutes"] == 30
        instantiate(config["model"])


@pytest.mark.parametrize("model", names("model"))
def test_the_papers_scale_changes_nothing(model):
    plain, paper = compose([f"model={model}"]), compose([f"model={model}", "scale=paper"])
    assert use_scale(paper, ["scale=paper"]) is None
    a, b = ({key: value for key, value in resolve_loosely(each).items() if key != "scale"} for each in (plain, paper))
    assert a == b


def resolve_loosely(config):
    return OmegaConf.to_container(config, resolve=False)


def test_what_a_recipe_states_stays(monkeypatch):
    """The laptop scale of BigGAN has images of 32 px, and batches of 32; the sweep states the size alone."""
    config, found = scaled(monkeypatch, Facts(1658), "sweep=emoji", "model=biggan")
    assert config.image_size == 64 and config.batch_size == 32
    assert "image_size" not in found.applied


@pytest.mark.parametrize(
    "overrides",
    [
        ["model=dcgan", "data=digits"],
        ["model=dcgan", "data=fake"],
        ["model=cyclegan", "data=plain2striped"],
        ["model=dcgan", "data=gaussians", "network=mlp", "model.generator.norm=false"],
    ],
    ids=lambda each: each[1],
)
def test_sets_that_are_not_the_users_keep_their_defaults(overrides):
    config = used(*overrides)
    assert config["scale"] == {"name": "paper"}
    assert config["budget"] == resolve(compose(overrides))["budget"]


def test_recipes_sweeps_and_smoke_tests_keep_theirs(tmp_path):
    root = write(tmp_path / "in", 12)
    for experiment in ("recipe=pictures_vae_gan", "debug=smoke"):
        config = used(experiment, "data=folder", f"data.root={root}")
        assert config["scale"] == {"name": "paper"}


def test_300_photographs_of_400_px(monkeypatch):
    facts = Facts(True, 270, Formats(Counter({(400, 300): 300})))
    config, found = scaled(monkeypatch, facts, "model=dcgan", "data=folder", "data.root=x")
    assert (config.scale.name, config.batch_size, config.image_size) == ("laptop", 32, 64)
    assert dict(config.budget) == {"images": 300_000, "epochs": None, "minutes": 30}
    assert config.model.augment.diff.cutout and config.model.generator.base == 32
    first, second, third = scale_lines(config, found)
    assert first.startswith("Scale laptop, chosen for ") and "300 images (in colour, 300×400 px): 64×64 px." in first
    assert "suggested.base=32" in second and "DiffAugment" in second
    assert "budget.images=300000, 1,111 passes over 270 or budget.minutes=30" in third


def test_2000_grey_pictures_of_48_px_in_seven_classes(tmp_path):
    config = used("model=cgan", "data=folder", f"data.root={write(tmp_path / 'in', 140, (48, 48), 'L', 7)}")
    assert (config["data"]["size"], config["data"]["channels"], config["data"]["classes"]) == (48, 1, 7)
    assert config["scale"]["name"] == "laptop" and not config["model"]["augment"]["diff"]["cutout"]
    facts = Facts(True, 1800, Formats(Counter({(48, 48): 2000}), 2000), 7)
    found = Scaled("laptop", "auto", facts)
    assert "2,000 images (grey, 48×48 px, 7 classes)" in scale_lines(OmegaConf.create(config), found)[0]


def test_20_pictures_fill_a_batch(tmp_path):
    config = used("model=dcgan", "data=folder", f"data.root={write(tmp_path / 'in', 20)}")
    assert config["batch_size"] == 16 and config["budget"]["images"] == 300_000


def test_a_single_picture_to_train_on_is_refused(tmp_path):
    with pytest.raises(UserError, match="only one image to train on: give at least four"):
        used("model=dcgan", "data=folder", f"data.root={write(tmp_path / 'in', 2)}")


def test_50000_pictures_need_no_augmentation(monkeypatch):
    facts = Facts(True, 50_000, Formats(Counter({(256, 256): 50_000})))
    config, _ = scaled(monkeypatch, facts, "model=dcgan", "data=folder", "data.root=x")
    assert config.budget.images == 25 * 50_000 and not config.model.augment


def test_photographs_of_4000_px_are_reduced(tmp_path):
    folders = [f"data.{side}={write(tmp_path / side, 8, (4000, 3000))}" for side in "ab"]
    config = used("model=cyclegan", "data=unpaired", *folders)
    assert config["data"]["size"] == 64 and config["batch_size"] == 4
    assert config["model"]["a2b"]["filters"] == 24 and config["budget"]["images"] == 60_000


def test_a_graphics_card_gets_the_papers_sizes_and_enough_images(monkeypatch):
    monkeypatch.setattr(scale, "has_gpu", lambda _: True)
    facts = Facts(True, 270, Formats(Counter({(400, 400): 300})))
    config, _ = scaled(monkeypatch, facts, "model=dcgan", "data=folder", "data.root=x")
    assert (config.scale.name, config.batch_size, config.model.generator.base) == ("gpu", 64, 64)
    assert dict(config.budget) == {"images": 3_000_000, "epochs": None, "minutes": 1440}


@pytest.mark.parametrize("minutes", ["budget.minutes=5", "budget.epochs=3", "budget.images=100"])
def test_what_is_typed_wins(tmp_path, minutes):
    root = write(tmp_path / "in", 40)
    typed = {"batch_size": 8, "image_size": 32, "suggested.base": 12, "model.g_optimizer.lr": 1e-4}
    config = used("data=folder", f"data.root={root}", minutes, *(f"{key}={value}" for key, value in typed.items()))
    config = OmegaConf.create(config)
    assert {key: OmegaConf.select(config, key) for key in typed} == typed
    assert config.scale.name == "laptop" and config.model.discriminator.base == 32
    key, _, value = minutes.partition("=")
    expected = {"images": None, "epochs": None, "minutes": None} | {key.removeprefix("budget."): int(value)}
    assert dict(config.budget) == expected


def test_a_remedy_and_a_loss_that_are_chosen_stay(tmp_path):
    root = write(tmp_path / "in", 40)
    config = used("data=folder", f"data.root={root}", "remedy=diffaugment", "model.augment.diff.probability=0.3")
    assert config["model"]["augment"]["diff"]["probability"] == 0.3
    config = used("data=folder", f"data.root={root}", "loss=wgan_gp")
    assert config["model"]["g_optimizer"]["lr"] == 1e-4 and config["model"]["objective"]["n_critic"] == 5


def test_a_scale_that_is_typed_counts_for_public_sets_and_recipes_too():
    config = used("model=dcgan", "data=digits", "scale=laptop")
    assert config["budget"] == {"images": None, "epochs": 70, "minutes": 30}
    assert config["model"]["discriminator"]["base"] == 16
    config = used("recipe=emoji_cyclegan", "data=fake_unpaired", "scale=laptop")
    assert config["budget"]["minutes"] == 20


def test_missing_data_are_refused_in_one_sentence(tmp_path):
    with pytest.raises(UserError, match="nowhere"):
        used("model=dcgan", "data=folder", f"data.root={tmp_path / 'nowhere'}")


def test_a_resumed_run_of_a_version_without_scales_keeps_its_sizes(tmp_path):
    root, runs = write(tmp_path / "in", 80), tmp_path / "runs"
    typed = ["data=folder", f"data.root={root}", f"runs={runs}"]
    folder = runs / "dcgan-folder" / "2026-01-01_00-00-00"
    folder.mkdir(parents=True)
    older = used(*typed, "scale=paper")
    for key in ("scale", "dry_run"):
        older.pop(key)
    (folder / "config.json").write_text(json.dumps(older))
    (folder / "run.json").write_text(json.dumps({"state": "stopped"}))
    (folder / "last.ckpt").touch()
    assert used(*typed, "resume=auto")["scale"] == {"name": "paper"}
    assert used(*typed)["scale"]["name"] == "laptop"


def test_choices_of_groups_are_no_keys():
    given = ["model=dcgan", "generator=unet", "+model.engine.x=1", "~callbacks.samples", "--config-dir=x"]
    assert scale.typed_keys(given) == ["model.engine.x", "callbacks.samples"]


def test_without_a_test_split_a_tenth_does_not_count(tmp_path):
    config = compose(["data=folder", f"data.root={write(tmp_path / 'in', 20)}"])
    use_found_formats(config)
    facts = scale_facts.find_facts(config)
    assert (facts.own, facts.train, len(facts.formats)) == (True, 18, 20)


def test_pictures_in_a_table_count_as_those_in_a_folder(tmp_path):
    root = write(tmp_path / "in", 20)
    pictures = [{"bytes": file.read_bytes(), "path": file.name} for file in sorted(root.rglob("*.png"))]
    parquet.write_table(pa.table({"image": pictures}), tmp_path / "x.parquet")
    for data in ("parquet", "hub"):
        config = compose([f"data={data}", f"data.root={tmp_path / 'x.parquet'}"])
        use_found_formats(config)
        facts = scale_facts.find_facts(config)
        assert scale_facts.is_own_set(config.data)
        assert (facts.own, facts.train, len(facts.formats)) == (True, 18, 20)


@pytest.mark.parametrize("data", ["parquet", "hub"])
def test_a_table_without_classes_names_the_key_of_their_column(tmp_path, data):
    file = next(write(tmp_path / "in", 1).rglob("*.png"))
    parquet.write_table(pa.table({"image": [file.read_bytes()] * 4}), tmp_path / "x.parquet")
    with pytest.raises(UserError, match=r"is conditional, but .* has no classes: give data\.label= the column"):
        count_classes(compose(["model=cgan", f"data={data}", f"data.root={tmp_path / 'x.parquet'}"]))


def test_shards_without_classes_name_the_key_of_their_number():
    config = OmegaConf.create({"_target_": "gan_lab.data.presets.stream"})
    assert _how_to_give_classes(config).startswith("give data.classes=")
