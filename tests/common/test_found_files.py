"""Files below a folder that changes while it is read."""

import os

import pytest

from gan_lab.common import runs
from gan_lab.common.found_files import files_below, newest_first


@pytest.fixture
def vanishing(tmp_path, monkeypatch):
    """A folder of two runs, beside a temporary folder that is gone as soon as it was listed."""
    for number, run in enumerate(("old", "new")):
        (tmp_path / "runs" / run).mkdir(parents=True)
        (tmp_path / "runs" / run / runs.LAST).touch()
        os.utime(tmp_path / "runs" / run / runs.LAST, (number, number))
    (tmp_path / "runs" / ".temporary").mkdir()
    scandir = os.scandir

    def without_temporary(path):
        found = scandir(path)
        if str(path) == str(tmp_path / "runs"):
            found = _Kept(list(found))
            (tmp_path / "runs" / ".temporary").rmdir()
        return found

    monkeypatch.setattr(os, "scandir", without_temporary)
    return tmp_path / "runs"


class _Kept(list):
    """Entries that were listed before, in the way os.scandir gives them."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def __next__(self):
        if not self:
            raise StopIteration
        return self.pop(0)


def test_a_temporary_folder_of_another_run_vanishes_while_runs_are_sought(vanishing):
    assert [path.parent.name for path in newest_first(vanishing, runs.LAST)] == ["new", "old"]


def test_files_have_any_name_or_one_of_several(tmp_path):
    (tmp_path / "a").mkdir()
    for name in ("one", "a/one", "a/two", "three"):
        (tmp_path / name).touch()
    (tmp_path / "a" / "nowhere").symlink_to("nothing")
    assert {str(path.relative_to(tmp_path)) for path in files_below(tmp_path, "one", "two")} == {
        "one",
        "a/one",
        "a/two",
    }
    assert len([*files_below(tmp_path)]) == 5
    assert not newest_first(tmp_path, "nowhere")
