"""What earlier versions wrote is upgraded by pure functions."""

import copy

import pytest

from gan_lab.common.renames import FORMAT
from gan_lab.common.upgrade import renamed, upgrade, upgrade_config

OLD = {
    "state_dict": {},
    "memories": {"replay": {"images": []}, "lecam": {"real": 0.0}},
    "gan_lab": {
        "model": {
            "_target_": "gan_lab.core.gan.GANModule",
            "replay": {"_target_": "gan_lab.core.pool.Pool", "size": 50},
            "fresh_for_generator": False,
            "generator": {"_target_": "torch.nn.Linear", "in_features": 2, "out_features": 1},
            "penalties": {"r1": {"_target_": "gan_lab.losses.penalties.R1", "weight": 1.0, "every": 16}, "off": None},
            "augment": [{"_target_": "gan_lab.augment.DiffAugment", "policy": ["color"]}],
            "schedules": {
                "adversary.penalties.r1.weight": {"_target_": "gan_lab.core.schedules.Cosine", "end": 1.0},
                "adversary.penalties_of_mine": None,
                "generator.beta2": None,
            },
        },
        "data": {"_target_": "gan_lab.data.presets.digits", "size": 16},
        "seed": 3,
    },
}


def test_everything_has_its_present_name():
    found = upgrade(OLD)
    assert found["gan_lab"] == {
        "model": {
            "_target_": "gan_lab.models.bases.gan.GANModule",
            "replay_pool": {"_target_": "gan_lab.training.image_pool.ImagePool", "size": 50},
            "new_batch_for_generator": False,
            "generator": {"_target_": "torch.nn.Linear", "in_features": 2, "out_features": 1},
            "augment": [{"_target_": renamed("gan_lab.augment.DiffAugment"), "policy": ["color"]}],
            "engine": {
                "_target_": "gan_lab.training.options.EngineOptions",
                "schedules": {
                    "objective.penalties.r1.weight": {"_target_": "gan_lab.training.schedules.Cosine", "end": 1.0},
                    "adversary.penalties_of_mine": None,
                    "generator.beta2": None,
                },
                "ema_half_life": None,
                "ema_ramp": 0.05,
                "ema_widths": None,
                "lr_schedule": None,
            },
            "objective": {
                "_target_": "gan_lab.losses.objective.AdversarialObjective",
                "one_pass": None,
                "penalties": {
                    "r1": {"_target_": "gan_lab.losses.penalties.R1", "weight": 1.0, "interval": 16},
                    "off": None,
                },
            },
        },
        "data": {"_target_": "gan_lab.data.presets.digits", "size": 16},
        "seed": 3,
        "format": FORMAT,
    }
    assert found["extra_state"] == {"replay_pool": {"images": []}, "lecam": {"real": 0.0}} and "memories" not in found


def test_networks_and_phases_named_after_critics_have_their_present_names():
    weights = {"critic_a.layers.0.weight": 1, "ema.networks.a2b.weight": 2, "critic_about.weight": 3}
    model = {
        "_target_": "gan_lab.models.cyclegan.CycleGAN",
        "critic_a": {"_target_": "gan_lab.networks.patchgan.Discriminator"},
        "critic": 0.5,
        "schedule": None,
        "schedules": {"critic.lr": None},
        "budget": {"_target_": "gan_lab.core.budget.Budget", "images": 8},
    }
    found = upgrade({"state_dict": weights, "gan_lab": {"model": model}})
    assert list(found["state_dict"]) == ["discriminator_a.layers.0.weight", *[*weights][1:]]
    assert found["gan_lab"]["model"] == {
        "_target_": "gan_lab.models.cyclegan.CycleGAN",
        "discriminator_a": {"_target_": "gan_lab.networks.patchgan.Discriminator"},
        "discriminator_weight": 0.5,
        "engine": {
            "_target_": "gan_lab.training.options.EngineOptions",
            "lr_schedule": None,
            "schedules": {"discriminator.lr": None},
            "budget": {"_target_": "gan_lab.training.budget.Budget", "images": 8},
            "ema_ramp": 0.05,
            "ema_widths": None,
        },
    }


def test_an_upgrade_changes_nothing_twice_and_leaves_its_input():
    before = copy.deepcopy(OLD)
    found = upgrade(OLD)
    assert before == OLD
    again = upgrade(copy.deepcopy(found))
    assert again == found


def test_a_present_checkpoint_stays_as_it_is():
    present = {"gan_lab": {"format": FORMAT, "model": {"_target_": "my.Model", "replay": 1}}, "memories": {"mine": {}}}
    assert upgrade(present) == present


@pytest.mark.parametrize("part", [{"every": 4, "given": 1}, {"_target_": "my_parts.Penalty", "every": 4, "given": 1}])
def test_parts_of_others_keep_their_arguments(part):
    old = {"gan_lab": {"model": {"_target_": "my_methods.Model", "part": part}, "data": part}}
    found = upgrade(old)["gan_lab"]
    assert found["model"]["part"] == part and found["data"] == part


def test_a_users_own_model_class_gets_the_present_arguments():
    old = {"gan_lab": {"model": {"_target_": "my_methods.MyGAN", "seeking": 0.1, "replay": None, "feeding": 0.5}}}
    model = upgrade(old)["gan_lab"]["model"]
    assert model == {"_target_": "my_methods.MyGAN", "seeking": 0.1, "replay_pool": None, "teacher_forcing": 0.5}


def test_a_checkpoint_without_a_model_is_upgraded():
    assert upgrade({"gan_lab": {}}) == {"gan_lab": {"format": FORMAT}, "extra_state": {}}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("gan_lab.core.gan.GANModule", "gan_lab.models.bases.gan.GANModule"),
        ("gan_lab.core.pool.Pool", "gan_lab.training.image_pool.ImagePool"),
        ("gan_lab.models.vae.VAE", "gan_lab.models.vae.VAE"),
        ("core.gan.GANModule", "core.gan.GANModule"),
        ("torch.nn.Linear", "torch.nn.Linear"),
        ("gan_lab.core.gan", "gan_lab.core.gan"),
    ],
)
def test_dotted_paths(old, new):
    assert renamed(old) == new == renamed(new)


CONFIG = {
    "takes": "frames",
    "metrics": {
        "looks": {"_target_": "gan_lab.metrics.gathering.Comparison", "n": 1000},
        "mine": {"_target_": "my.Metric", "every": 2, "empty": {}},
    },
    "loss": {"penalties": {"r1": {"_target_": "gan_lab.losses.penalties.R1", "every": 16}}},
    "model": {
        "_target_": "my_methods.Mine",
        "given": 5,
        "schedules": {"feeding": None, "adversary.penalties.r1.weight": None},
    },
}


def test_a_runs_configuration_has_its_present_names():
    before = copy.deepcopy(CONFIG)
    found = upgrade_config(CONFIG)
    assert before == CONFIG
    assert found == {
        "data_kind": "frames",
        "metrics": {
            "image_statistics": {"_target_": renamed("gan_lab.metrics.gathering.Comparison"), "n": 1000},
            "mine": {"_target_": "my.Metric", "every": 2, "empty": {}},
        },
        "loss": {"penalties": {"r1": {"_target_": "gan_lab.losses.penalties.R1", "interval": 16}}},
        "model": {
            "_target_": "my_methods.Mine",
            "context_frames": 5,
            "engine": {
                "_target_": "gan_lab.training.options.EngineOptions",
                "schedules": {"teacher_forcing": None, "objective.penalties.r1.weight": None},
                "ema_ramp": 0.05,
                "ema_widths": None,
                "lr_schedule": None,
            },
        },
    }
    assert upgrade_config(found) == found and upgrade_config({}) == {}


def test_what_moved_to_a_part_is_left_out_of_a_resolved_configuration():
    model = {"_target_": "my_methods.Mine", "generator": {"base": 4}}
    config = {"network": {"base": 4, "critic_base": 8}, "prefers": {"lr": None, "size": 64}, "model": model}
    assert upgrade_config(config) == {"model": model, "image_size": 64}


@pytest.mark.parametrize("order", [None, "natural"])
def test_class_folders_keep_the_order_of_characters(order):
    stated = {} if order is None else {"class_order": order}
    data = {"_target_": "gan_lab.data.presets.folder", "root": "x", **stated}
    for form in (1, FORMAT):
        found = upgrade({"state_dict": {}, "gan_lab": {"model": {}, "data": data, "format": form}})
        assert found["gan_lab"]["data"]["class_order"] == (order or "text")
    assert upgrade_config({"data": data})["data"]["class_order"] == (order or "text")
    assert "class_order" not in upgrade_config({"data": {"_target_": "gan_lab.data.presets.mnist"}})["data"]


@pytest.mark.parametrize(("given", "present"), [({}, "transposed"), ({"upsample": "resize"}, "resize")])
def test_an_argument_that_a_network_has_got_since_says_what_it_did_before(given, present):
    node = {"_target_": "gan_lab.networks.dcgan.Generator", "base": 8, **given}
    upgraded = upgrade_config({"model": {"generator": node}})
    assert upgraded["model"]["generator"] == {**node, "upsample": present}
    assert node.get("upsample") == given.get("upsample")
