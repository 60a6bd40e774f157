"""Keys and choices of the last version on the command line."""

import subprocess
import sys

import pytest
from cases import names

from gan_lab.cli.config.compose import compose, resolve
from gan_lab.cli.config.deprecations import present_overrides
from gan_lab.cli.config.old_keys import move_old_keys
from gan_lab.common.deprecation import RenamedWarning
from gan_lab.common.renames import CHOICES, KEYS
from gan_lab.common.upgrade import renamed_key

SMALL = ["data=fake"]


@pytest.fixture(autouse=True)
def tables(monkeypatch):
    """A group renamed, beside what the tables have."""
    monkeypatch.setitem(KEYS, "eyes", "extractor")
    monkeypatch.setitem(CHOICES, "extractor", {"old": "new"})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("model.given=4", "model.context_frames=4"),
        ("+model.feeding=0.5", "+model.teacher_forcing=0.5"),
        ("++model.replay.size=50", "++model.replay_pool.size=50"),
        ("~model.replay", "~model.replay_pool"),
        ("loss.penalties.gp.every=4", "loss.penalties.gp.interval=4"),
        ("model.penalties.gp.every=4", "model.objective.penalties.gp.interval=4"),
        ("model.given=1,2,3", "model.context_frames=1,2,3"),
        ("data.length=${model.given}", "data.length=${model.context_frames}"),
        ("metrics=looks", "metrics=image_statistics"),
        ("metrics=[fid,looks]", "metrics=[fid,image_statistics]"),
        ("metrics=looks,fid", "metrics=image_statistics,fid"),
        ("+metrics=choice(fid, looks)", "+metrics=choice(fid, image_statistics)"),
        ("metrics@quick=[looks]", "metrics@quick=[image_statistics]"),
        ("metrics.looks.n=5", "metrics.image_statistics.n=5"),
        ("eyes=old", "extractor=new"),
        ("eyes@other=[old,older]", "extractor@other=[new,older]"),
    ],
)
def test_an_override_gets_its_present_names(old, new):
    with pytest.warns(RenamedWarning):
        assert present_overrides([old]) == [new]


@pytest.mark.parametrize(
    "argument",
    [
        "-m",
        "--config-dir=looks",
        "model=dcgan",
        "model.givens=4",
        "mine.model.given=4",
        "loss.penalties.every=4",
        "metrics=fid",
        "input=looks",
        "input=photos/a=looks.jpg",
        "",
        "=",
        "words alone",
        "name=model.given",
    ],
)
def test_others_stay_as_they_are(argument, recwarn):
    assert present_overrides([argument]) == [argument] and not recwarn.list


def test_the_most_particular_key_wins(monkeypatch):
    monkeypatch.setitem(KEYS, "a", "b")
    monkeypatch.setitem(KEYS, "a.*.c", "d.*.e")
    assert [renamed_key(key) for key in ("a", "a.x", "a.x.c", "a.x.c.y", "x.a")] == [
        "b",
        "b.x",
        "d.x.e",
        "d.x.e.y",
        "x.a",
    ]


def test_composing_from_python_understands_them():
    with pytest.warns(RenamedWarning, match=r"^model\.given is now model\.context_frames\.$"):
        assert compose(["model=convlstm", "data=moving_digits", "model.given=7"]).model.context_frames == 7
    with pytest.warns(RenamedWarning, match=r"^metrics=looks is now metrics=image_statistics\.$"):
        compose(["metrics=[looks]"])


def test_the_console_says_it_in_one_line(tmp_path):
    (tmp_path / "my_methods.py").write_text("from gan_lab.core.gan import GANModule as Mine\n")
    arguments = [
        "loss=wgan_gp",
        "loss.penalties.gradient_penalty.every=2",
        "model._target_=my_methods.Mine",
        "--cfg=job",
    ]
    script = (
        "import warnings; from gan_lab.cli.config.deprecations import print_warnings as p; p(); p()\n"
        "import gan_lab.core.gan as g\n"
        "with warnings.catch_warnings(): g.GANModule\n"
        "g.GANModule"
    )
    train, use = (
        subprocess.run([sys.executable, *command], capture_output=True, text=True, cwd=tmp_path, check=True)
        for command in (["-m", "gan_lab.train", *arguments], ["-c", script])
    )
    lines = [line for line in train.stderr.splitlines() if "is now" in line]
    assert lines == ["gan_lab: loss.penalties.gradient_penalty.every is now loss.penalties.gradient_penalty.interval."]
    assert "interval: 2" in train.stdout
    assert use.stderr == "gan_lab: gan_lab.core.gan.GANModule is now gan_lab.models.bases.gan.GANModule.\n"


def test_keys_of_a_users_own_recipe_are_moved(tmp_path):
    (tmp_path / "recipe").mkdir()
    (tmp_path / "recipe" / "mine.yaml").write_text(
        "# @package _global_\ndefaults: [{override /model: wgan_gp}]\nbatch_size: 8\n"
        "loss: {penalties: {gradient_penalty: {every: 3}}}\n"
        "model: {fresh_for_generator: true, ema_half_life: '${batch_size}'}\ncallbacks: {progress: {figures: [x]}}\n"
    )
    config = compose(["recipe=mine", f"hydra.searchpath=[file://{tmp_path}]", *SMALL])
    with pytest.warns(RenamedWarning) as warned:
        move_old_keys(config)
    said = {str(each.message).split(" is now")[0] for each in warned}
    assert said == {
        *("loss.penalties.gradient_penalty.every", "callbacks.progress.figures"),
        *("model.fresh_for_generator", "model.ema_half_life"),
    }
    assert (
        config.loss.penalties.gradient_penalty.interval == 3 and "every" not in config.loss.penalties.gradient_penalty
    )
    assert config.callbacks.progress.metrics == ["x"]
    model = resolve(config)["model"]
    assert (
        model["new_batch_for_generator"] is True
        and model["engine"]["ema_half_life"] == 8
        and "ema_half_life" not in model
    )


@pytest.mark.parametrize("name", names("model"))
def test_no_present_key_is_an_old_one(name, recwarn):
    config = compose([f"model={name}", *SMALL])
    before = config.copy()
    move_old_keys(config)
    assert config == before and not [each for each in recwarn if each.category is RenamedWarning]
