"""The table of the kinds of data, and a kind that is added to it."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Protocol, runtime_checkable

import pytest
import torch
from domains import Carrier, two_sides
from restylers import Colours, Recolour
from sequences import Known, Off, RandomClips

from gan_lab.cli.config.compose import compose
from gan_lab.common.capabilities import Samples
from gan_lab.data.modules.points import PointsDataModule
from gan_lab.evaluation import kinds
from gan_lab.evaluation.data_kind import DataKind, Task
from gan_lab.evaluation.evaluators.base import Evaluator
from gan_lab.evaluation.evaluators.select import select_evaluator
from gan_lab.evaluation.kinds import KINDS, animation_for, kind_named, kind_of, kind_of_config, sheet_for, task_of
from gan_lab.evaluation.results import EvaluationResult
from gan_lab.inference.sheets import SheetOptions


@runtime_checkable
class Waves(Protocol):
    """The data of a toy kind."""

    rate: int


@dataclass
class WaveEvaluator(Evaluator):
    def evaluate(self, model):
        return EvaluationResult({"loudness": 0.5}, {}, {"n": self.n})

    def counts(self, protocol):
        return {"waves": protocol["n"]}

    def comparison_text(self, protocol):
        return f"{protocol['n']} waves"

    def sheet(self, model):
        return None


WAVES = DataKind(
    name="waves",
    description="sound",
    example="sines",
    protocol=Waves,
    tasks=(
        Task(
            capability=Samples,
            sheet=lambda model, data, options: torch.zeros(1, options.n, 2, dtype=torch.uint8),
            evaluator=lambda inputs: WaveEvaluator(inputs.data, inputs.n, inputs.extractors, inputs.metrics),
            command="sample checkpoint={checkpoint} n=4",
        ),
    ),
    read=lambda data, split, n: torch.zeros(n, 1, data.rate),
    write=lambda folder, items, start: torch.save(items, folder / f"{start}.pt"),
    items=None,
    default_n=lambda data: data.rate,
    configured=lambda config: "rate" in config,
)


@pytest.fixture
def data(doubles):
    points = PointsDataModule("ring", spacing=2.0, deviation=0.05, scale=5.0, count=10, batch_size=10)
    return {
        "image": doubles.ImageData(),
        "domains": Colours(),
        "frames": RandomClips(3),
        "unpaired": two_sides(),
        "points": points,
    }


def test_each_data_module_is_of_its_kind(data):
    assert {name: kind_of(each).name for name, each in data.items()} == {name: name for name in data}
    assert kind_of(SimpleNamespace()) is None and kind_of(None) is None


def test_a_models_task_depends_on_its_capabilities(doubles, data):
    clips = data["frames"]
    assert task_of(Off(clips, 0.0), clips).command.startswith("predict")
    assert task_of(Known(clips.made), clips).command.startswith("sample")
    assert task_of(Carrier(lambda image: image), data["unpaired"]).command.startswith("translate")
    assert task_of(Recolour(), data["domains"]).command.endswith("to=…")
    assert task_of(doubles.Sampler(), None).command.startswith("sample")
    assert task_of(SimpleNamespace(), clips) is None
    assert select_evaluator(doubles.Sampler(), clips, {}) is None


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_example_of_each_kind_is_configured_as_that_kind(kind):
    config = compose([f"data={kind.example}"]).data
    assert kind_of_config(config) is kind
    assert kind_named(kind.name) is kind
    assert kind_named(kind.model_kind).model_kind == kind.model_kind


def test_a_kind_is_added_as_one_object(doubles, monkeypatch):
    data, model = SimpleNamespace(rate=16), doubles.Sampler()
    assert select_evaluator(model, data, {}) is None
    monkeypatch.setattr(kinds, "KINDS", [*KINDS, WAVES])
    assert kind_of(data) is WAVES and kind_of_config({"rate": 16}) is WAVES and kind_named("waves") is WAVES
    evaluator = select_evaluator(model, data, {})
    record = evaluator.evaluate(model).record()
    assert record["figures"] == {"loudness": 0.5} and evaluator.comparison_text(record["protocol"]) == "16 waves"
    assert sheet_for(model, data, SheetOptions(n=3))().shape == (1, 3, 2)
    assert animation_for(model, data) is None


@pytest.mark.parametrize(
    ("name", "shape", "written"),
    [
        ("image", (5, 3, 4, 4), ["000002.png", "000003.png"]),
        ("frames", (3, 5, 1, 12, 12), ["000002.gif", "000003.gif"]),
        ("points", (5, 2, 1, 1), ["points.csv"]),
    ],
)
def test_items_are_read_from_the_data_and_written(data, tmp_path, name, shape, written):
    kind = kind_named(name)
    items = kind.read(data[name], "test", shape[0])
    assert items.shape == shape
    kind.write(tmp_path, (items.float() / 127.5 - 1)[:2], 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == written
