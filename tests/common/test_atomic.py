import pytest

from gan_lab.common.atomic import atomic_write, temporary_files


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
