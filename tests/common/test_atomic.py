import errno
import os
from pathlib import Path

import pytest

from gan_lab.common.atomic import abandoned_files, atomic_write, check_place, fitting_name, make_folder, temporary_files
from gan_lab.common.errors import UserError, WriteError


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_write(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_files_of_killed_writers_are_found(tmp_path):
    with atomic_write(tmp_path / "a.ckpt") as temporary:
        temporary.write_text("whole")
        killed = temporary.with_name(temporary.name)
        assert list(temporary_files(tmp_path / "a.ckpt")) == [killed]
    assert list(temporary_files(tmp_path / "a.ckpt")) == []


@pytest.mark.parametrize("error", [errno.EACCES, errno.EINVAL, errno.EBADF])
def test_a_system_that_cannot_sync_a_folder_writes_the_file_all_the_same(tmp_path, monkeypatch, error):
    synced, opened = [], os.open

    def refuses_folders(path, *arguments):
        if os.path.isdir(path):  # noqa: PTH112
            raise OSError(error, "refused")
        synced.append(path)
        return opened(path, *arguments)

    monkeypatch.setattr(os, "open", refuses_folders)
    with atomic_write(tmp_path / "a.txt") as temporary:
        temporary.write_text("whole")
    assert (tmp_path / "a.txt").read_text() == "whole" and len(synced) == 1


def test_a_disk_that_fails_is_told(tmp_path, monkeypatch):
    def fails(_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="Input/output"), atomic_write(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("stem", ["x" * 251, "é" * 125])
def test_a_name_as_long_as_file_systems_allow_is_written(tmp_path, stem):
    path = tmp_path / f"{stem}.png"
    with atomic_write(path) as temporary:
        temporary.write_text("whole")
        assert list(temporary_files(path)) == [temporary]
    assert path.read_text() == "whole" and len(list(tmp_path.iterdir())) == 1


def test_longer_names_are_cut_and_stay_different():
    assert fitting_name("a.png") == "a.png" and fitting_name("x" * 251 + ".png") == "x" * 251 + ".png"
    first, second = (fitting_name("é" * 200 + f"{number}.png") for number in range(2))
    assert first != second and first.endswith(".png") and max(len(os.fsencode(each)) for each in (first, second)) <= 255


def test_abandoned_files_are_those_that_nobody_writes_to(tmp_path):
    with atomic_write(tmp_path / "a.u8") as running, atomic_write(tmp_path / "b.u8") as killed:
        running.touch()
        killed.touch()
        os.utime(killed, (0, 0))
        (tmp_path / ".note.txt").touch()
        os.utime(tmp_path / ".note.txt", (0, 0))
        assert list(abandoned_files(tmp_path, 60)) == [killed]


def test_places_that_cannot_be_made_are_told_and_others_are_left_as_they_are(tmp_path):
    (tmp_path / "note.txt").write_text("")
    for place, why in (
        (tmp_path / "note.txt" / "x", "Not a directory"),
        (tmp_path / ("x" * 300), "File name too long"),
    ):
        with pytest.raises(UserError, match=rf"cannot be made or written to \({why}\): give another output=…"):
            check_place(place, "output")
    check_place(tmp_path / "a" / "b", "output")
    assert [each.name for each in tmp_path.iterdir()] == ["note.txt"]


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="a system without /proc")  # noqa: PTH112
def test_a_folder_that_a_system_does_not_allow_is_told():
    with pytest.raises(UserError, match="/proc/x cannot be made or written to"):
        check_place(Path("/proc/x"), "output")
    with pytest.raises(WriteError, match="/proc/x cannot be written"):
        make_folder(Path("/proc/x"))
    with pytest.raises(WriteError, match=r"/proc/x/a\.json cannot be written"), atomic_write(Path("/proc/x/a.json")):
        pass


def test_a_missing_file_that_is_read_while_another_is_written_is_no_error_of_writing(tmp_path):
    with pytest.raises(FileNotFoundError) as error, atomic_write(tmp_path / "a.txt"):
        (tmp_path / "nowhere").read_text()
    assert not isinstance(error.value, WriteError)
