"""Relative paths of a run are meant in the folder where it was started."""

import json

import pytest

from gan_lab.cli.requests import DataPaths
from gan_lab.cli.values import path_keys
from gan_lab.common.start_folder import DATA_PATHS, PATHS, from_start, start_folder, with_paths_from
from gan_lab.train import TrainRequest


@pytest.fixture
def start(tmp_path, monkeypatch):
    (tmp_path / "start" / "photos").mkdir(parents=True)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "start"


def test_the_folder_is_that_of_the_runs_record_unless_it_is_this_one(start, tmp_path):
    for folder, expected in ((start, start), (tmp_path / "here", None)):
        (start / "run.json").write_text(json.dumps({"started_in": str(folder)}))
        assert start_folder(start / "last.ckpt") == expected
    assert start_folder(tmp_path / "last.ckpt") is None


def test_paths_are_those_of_the_start_unless_everything_was_moved_here(start, tmp_path):
    assert from_start("photos", start) == str(start / "photos")
    assert from_start("nowhere", start) == str(start / "nowhere")
    assert from_start("/photos", start) == "/photos" and from_start("~/photos", start) == "~/photos"
    (tmp_path / "here" / "moved").mkdir()
    assert from_start("moved", start) == "moved"


def test_the_paths_of_a_configuration_and_nothing_else(start):
    config = {
        "name": "photos",
        "data": {"root": "photos", "name": "photos", "a": None},
        "extractor": {"x": {"weights": "w"}},
    }
    there = {"root": str(start / "photos"), "name": "photos", "a": None}
    expected = {"name": "photos", "data": there, "extractor": {"x": {"weights": str(start / "w")}}}
    assert with_paths_from(start, config) == expected
    assert with_paths_from(start, config["data"], "data") == there
    assert with_paths_from(None, config) is config


def test_every_key_that_takes_a_path_is_known():
    assert {*path_keys(TrainRequest)} - {"resume", "run_dir"} <= {*PATHS}
    assert {*path_keys(DataPaths)} - {"cache_dir"} <= {*DATA_PATHS}
