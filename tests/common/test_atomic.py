import pytest

from gan_lab.common.atomic import atomic_write, temporary_files


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_write(path) as beside:
        beside.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_what_a_killed_writer_left_is_found(tmp_path):
    with atomic_write(tmp_path / "a.ckpt") as beside:
        beside.write_text("whole")
        killed = beside.with_name(beside.name)
        assert list(temporary_files(tmp_path / "a.ckpt")) == [killed]
    assert list(temporary_files(tmp_path / "a.ckpt")) == []
