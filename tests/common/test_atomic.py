import errno
import os

import pytest

from gan_lab.common.atomic import abandoned_files, atomic_write, fitting_name, temporary_files


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
