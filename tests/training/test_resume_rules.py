"""What may change when a run is resumed."""

from pathlib import Path

import pytest

from gan_lab.common.errors import UserError
from gan_lab.training.resume_rules import LISTED, Change, changes, check_changes, told

CONFIG = {
    "seed": 0,
    "budget": {"images": 100},
    "run_dir": "runs/a",
    "model": {
        "generator": {"base": 4},
        "g_optimizer": {"_target_": "torch.optim.Adam", "lr": 1e-3, "betas": [0.5, 0.9]},
        "objective": {"penalties": {"r1": {"weight": 1.0}}},
        "engine": {"seed": 0, "budget": {"images": 100}, "lr_schedule": None},
    },
    "data": {"_target_": "gan_lab.data.presets.folder", "root": "photos", "size": 8, "workers": 0},
    "callbacks": {"samples": {"every": 10, "folder": "runs/a"}},
    "trainer": {"devices": 1},
}


def changed(**values):
    """The configuration with other values under dotted keys, whose dots are written as two underscores."""
    config = {key: dict(value) if isinstance(value, dict) else value for key, value in CONFIG.items()}
    for key, value in values.items():
        *parents, last = key.split("__")
        node = config
        for parent in parents:
            node[parent] = dict(node[parent])
            node = node[parent]
        node[last] = value
    return config


def test_an_equal_configuration_in_another_folder_has_no_changes():
    assert changes(CONFIG, changed(run_dir="other/b", callbacks__samples__folder="other/b", resume="runs/a")) == []


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"model__g_optimizer__lr": 1e-4}, "model.g_optimizer.lr: 0.001 → 0.0001"),
        ({"model__g_optimizer__betas": [0.0, 0.9]}, "model.g_optimizer.betas: [0.5, 0.9] → [0.0, 0.9]"),
        ({"model__g_optimizer__eps": 1e-6}, "model.g_optimizer.eps: (none) → 1e-06"),
        ({"model__objective__penalties__r1__weight": 5}, "model.objective.penalties.r1.weight: 1.0 → 5"),
        ({"model__engine__lr_schedule": {"_target_": "a.Linear"}}, "model.engine.lr_schedule: null → a.Linear"),
        ({"budget__images": 9, "model__engine__budget__images": 9}, "budget.images: 100 → 9"),
        ({"callbacks__samples": None}, "callbacks.samples: {'every': 10, 'folder': 'runs/a'} → null"),
        ({"data__root": "elsewhere"}, "data.root: photos → elsewhere"),
        ({"data__workers": 2}, "data.workers: 0 → 2"),
        ({"trainer__devices": 2}, "trainer.devices: 1 → 2"),
    ],
)
def test_what_may_change_is_told_key_by_key(values, line):
    found = check_changes(changes(CONFIG, changed(**values)), Path("runs/a/last.ckpt"))
    assert [each.strip().replace('"', "'") for each in told(found)] == [line]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"seed": 1, "model__engine__seed": 1}, "seed=1 instead of 0, because its random numbers"),
        ({"model__generator__base": 8}, "model.generator.base=8 instead of 4, because the method"),
        ({"model__g_optimizer___target_": "torch.optim.SGD"}, "because the state of one optimizer"),
        ({"model__generator": {"_target_": "a.Other"}}, "model.generator"),
        ({"data__size": 16}, "data.size=16 instead of 8, because its data"),
        ({"data___target_": "gan_lab.data.presets.mnist"}, "because its data"),
    ],
)
def test_what_may_not_change_is_refused_with_the_reason(values, said):
    with pytest.raises(UserError) as refused:
        check_changes(changes(CONFIG, changed(**values)), Path("runs/a/last.ckpt"))
    assert str(refused.value).startswith("runs/a cannot go on with ") and said in str(refused.value)
    assert str(refused.value).endswith("init_from=runs/a.")


def test_a_checkpoint_that_knows_some_sections_is_compared_in_these():
    known = {"model": CONFIG["model"], "seed": 0}
    assert changes(known, changed(budget__images=7, data__size=16)) == []
    assert [each.key for each in changes(known, changed(seed=3))] == ["seed"]


def test_a_number_that_json_cannot_express_is_no_change():
    recorded = {"callbacks": {"collapse": {"window": None}}}
    assert changes(recorded, {"callbacks": {"collapse": {"window": float("inf")}}}) == []


def test_long_lists_are_cut():
    found = [Change(f"callbacks.{number}", 0, 1) for number in range(LISTED + 3)]
    assert [*told(found)][-1].strip() == "and 3 more"


def test_a_refusal_names_what_was_typed():
    found = changes(CONFIG, changed(seed=6))
    with pytest.raises(UserError, match=r"cannot go on with loss=hinge, which sets seed=6 .*: leave loss=hinge out"):
        check_changes(found, Path("runs/a/last.ckpt"), "loss=hinge")
