import errno
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from gan_lab.cli.config.compose import compose, resolve
from gan_lab.common import runs
from gan_lab.common.errors import UserError
from gan_lab.train import prepare
from gan_lab.training import resume
from gan_lab.training.run_config import RunConfig


def test_only_the_number_of_devices_counts():
    one, other, more = ({"trainer": {"devices": devices}} for devices in (1, [3], [0, 1]))
    assert runs.differing_keys(one, other) == [] and runs.differing_keys(one, more) == ["trainer.devices"]


def make(folder, config, state="stopped", age=0):
    run = runs.Run(folder)
    run.begin({**config, "run_dir": str(folder)})
    (folder / runs.LAST).touch()
    os.utime(folder / runs.LAST, (1e9 - age, 1e9 - age))
    run.end(state)
    return folder


def test_resume_takes_the_newest_unfinished_run_with_an_equal_configuration(tmp_path):
    config = {"seed": 1, "model": {"lr": 0.1}, "resume": "auto"}
    make(tmp_path / "a" / "1", config, age=20)
    newest = make(tmp_path / "a" / "2", {**config, "resume": None}, age=10)
    make(tmp_path / "a" / "3", config, state="finished")
    make(tmp_path / "a" / "4", {**config, "seed": 2})
    assert runs.find_resumable(tmp_path, {**config, "run_dir": "x"})[0] == newest


def configuration(overrides):
    config = compose(overrides)
    prepare(config)
    return RunConfig.of(resolve(config))


@pytest.mark.parametrize("where", ["runs={}", "run_dir={}/mine"])
def test_the_default_configuration_finds_its_own_run(tmp_path, where):
    """Whatever folder its loggers and callbacks write to."""
    made = configuration(["data=fake", where.format(tmp_path)])
    folder, checkpoint = resume.choose_run_dir(made)
    assert checkpoint is None
    make(folder, made.in_folder(folder).values)
    again = configuration(["data=fake", where.format(tmp_path), "resume=auto"])
    with pytest.raises(UserError, match="is damaged or truncated"):  # it is found, but is no real checkpoint
        resume.choose_run_dir(again)


def test_the_differing_keys_of_the_most_similar_run_are_returned(tmp_path):
    make(tmp_path / "a" / "1", {"seed": 1, "model": {"lr": 0.1}, "logger": {"folder": str(tmp_path / "a" / "1")}})
    near = runs.find_resumable(
        tmp_path, {"seed": 1, "model": {"lr": 0.2, "b": 1}, "logger": {"folder": "x"}, "run_dir": "x"}
    )
    assert near == (None, tmp_path / "a" / "1", ["model.b", "model.lr"])


def test_a_folder_belongs_to_one_process(tmp_path):
    run = runs.Run(tmp_path / "a" / "1")
    run.begin({})
    (run.folder / runs.LAST).touch()
    assert list(runs.unfinished_runs(tmp_path)) == []
    with pytest.raises(UserError, match="Another process"):
        runs.Run(run.folder).begin({})
    run.end("stopped")
    assert list(runs.unfinished_runs(tmp_path)) == [run.folder]


def test_two_runs_in_one_second_get_two_folders(tmp_path):
    assert len({runs.create_run_dir(tmp_path, "a") for _ in range(3)}) == 3


def test_a_folder_is_trained_in_until_the_process_ends_whatever_it_forked(tmp_path):
    """As a loader's workers outlive a killed run by seconds."""
    script = """
import os, sys, time
from gan_lab.common.runs import Run, is_running
run = Run(sys.argv[1])
run.begin({})
child = os.fork()
if not child:
    os.close(1)
    time.sleep(60)
print(child, flush=True)
time.sleep(60)
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        child = int(process.stdout.readline())
        try:
            assert runs.is_running(tmp_path) and runs.is_running(tmp_path)
            with pytest.raises(UserError, match="Another process is training in"):
                runs.Run(tmp_path).begin({})
            process.kill()
            process.wait()
            os.kill(child, 0)
            assert not runs.is_running(tmp_path)
            runs.Run(tmp_path).begin({})
        finally:
            process.kill()
            os.kill(child, signal.SIGKILL)


def test_those_who_ask_whether_a_run_goes_on_do_not_mistake_one_another_for_it(tmp_path):
    (tmp_path / ".lock").touch()
    with ThreadPoolExecutor(8) as pool:
        assert not any(pool.map(runs.is_running, [tmp_path] * 400))


def test_a_file_system_without_locks_and_odd_locks_stop_no_run(tmp_path, monkeypatch):
    (tmp_path / "folder" / ".lock").mkdir(parents=True)
    assert not runs.is_running(tmp_path / "folder") and not runs.is_running(tmp_path)
    monkeypatch.setattr(runs, "lock_descriptor", fails)
    run = runs.Run(tmp_path)
    run.begin({})
    assert not runs.is_running(tmp_path) and runs.read_json(tmp_path / "run.json")["state"] == "running"
    run.end("finished")


def fails(*_, **__):
    raise OSError(errno.ENOSYS, "Function not implemented")


def test_earlier_configurations_of_a_run_are_kept(tmp_path):
    configs = [{"lr": 1.0, "window": float("inf")}, {"lr": 1.0, "window": float("inf"), "resume": "auto"}, {"lr": 0.5}]
    for config in [*configs, {"lr": 0.25}]:
        run = runs.Run(tmp_path)
        run.begin(config)
        run.end("stopped")
    kept = [runs.read_json(tmp_path / name) for name in ("config.1.json", "config.2.json", "config.json")]
    assert [each["lr"] for each in kept] == [1.0, 0.5, 0.25] and not (tmp_path / "config.3.json").exists()


def test_a_users_own_files_are_left_alone(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "config.json").write_text("[1, 2]")
    again = configuration(["data=fake"]).in_folder(folder)
    for refuse in (lambda: configuration(["data=fake", f"run_dir={folder}"]), lambda: resume.choose_run_dir(again)):
        with pytest.raises(UserError, match=r"mine holds no run, .* overwrite its config\.json: give another run_dir"):
            refuse()
    assert (folder / "config.json").read_text() == "[1, 2]"
    assert runs.read_json(folder / "config.json") == {} and runs.find_resumable(tmp_path, {}) == (None, None, [])
    for name in ("last.ckpt", ".last.ckpt", "notes.ckpt"):
        (tmp_path / "run").mkdir(exist_ok=True)
        (tmp_path / "run" / name).touch()
    run = runs.Run(tmp_path / "run")
    run.begin({})
    run.end("stopped")
    assert {"last.ckpt", ".last.ckpt", "notes.ckpt"} < {path.name for path in run.folder.iterdir()}


def test_a_run_that_never_began_removes_what_was_made_for_it_alone(tmp_path):
    (tmp_path / "mine" / "empty").mkdir(parents=True)
    for folder, left in (("mine/empty", "mine/empty"), ("mine/a/b/c/d", "mine"), ("mine/a", "mine")):
        run = runs.Run(tmp_path / folder)
        run.begin({})
        run.discard()
        assert ((tmp_path / left).is_dir() and not run.folder.exists()) or folder == left
        assert sorted((tmp_path / "mine").rglob("*")) == [tmp_path / "mine" / "empty"]
