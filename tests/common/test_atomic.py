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
