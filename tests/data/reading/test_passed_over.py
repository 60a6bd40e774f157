"""Files that are no images are counted by ending, and pipes, sockets and devices are named and never opened."""

import os
import socket
from zipfile import ZipFile, ZipInfo

import pytest
from PIL import Image

from gan_lab.common.domains import Domain
from gan_lab.common.errors import UserError
from gan_lab.data.reading import passed_over
from gan_lab.data.reading.files import ImageFolder
from gan_lab.data.reading.listing import list_images
from gan_lab.data.reading.passed_over import PassedOver
from gan_lab.data.sources.recording_files import find_recording, find_recordings
from gan_lab.inference.file_jobs import plan


@pytest.fixture
def mixed(make_folder):
    root = make_folder(["a.png", "sub/b.png"])
    for name in ("1.XYZ", "2.XYZ", "sub/notes.txt", "LICENSE", ".hidden.txt", "__MACOSX.txt"):
        (root / name).write_text("no image")
    return root


def test_other_files_are_counted_by_ending_and_it_is_said_once(mixed, caplog):
    with caplog.at_level("INFO"):
        list_images(mixed)
    (said,) = [each.message for each in caplog.records]
    assert said.startswith(f"data.root={mixed}: passed over 2 .XYZ, ")
    assert sorted(said.rstrip(".").split(", ")[1:]) == ["1 .txt", "1 without ending"]


def test_a_folder_of_images_alone_says_nothing(make_folder, caplog):
    with caplog.at_level("INFO"):
        list_images(make_folder(["a.png"]))
    assert not caplog.records


def test_members_of_a_zip_are_counted_alike(mixed, tmp_path):
    with ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in mixed.rglob("*"):
            archive.write(path, path.relative_to(mixed))
    passed = PassedOver()
    assert len(list_images(tmp_path / "all.zip", passed_over=passed)) == 2
    assert passed.endings == {".XYZ": 2, ".txt": 1, "": 1}


def test_a_link_in_a_zip_is_named(tmp_path):
    with ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("a.png", b"")
        link = ZipInfo("b.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "a.png")
    passed = PassedOver()
    assert [entry.name for entry in list_images(tmp_path / "all.zip", passed_over=passed)] == ["a.png"]
    assert passed.text() == "b.png (a link)"


def test_a_folder_that_cannot_be_opened_is_named(make_folder, monkeypatch):
    root = make_folder(["a.png", "closed/b.png"])
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.warns(UserWarning, match=r"closed cannot be opened \(Permission denied\)"):
        assert len(list_images(root)) == 1


def test_photographs_that_an_extra_reads_are_named_with_it(make_folder, monkeypatch):
    monkeypatch.setattr(passed_over, "INSTALLABLE", {".heic": "gan_lab[heif]"})
    passed = PassedOver()
    passed.add("IMG_1.HEIC", "IMG_1.HEIC")
    assert passed.text() == "1 .HEIC (pip install gan_lab[heif] reads them)"
    root = make_folder([])
    root.mkdir()
    (root / "IMG_1.raw").write_bytes(b"")
    with pytest.raises(UserError, match=r"has no images, but 1 \.raw: give files ending in"):
        list_images(root)


def test_heic_photographs_are_read_with_the_extra(tmp_path):
    Image.new("RGB", (8, 8), "red").save(tmp_path / "IMG_1.HEIC")
    assert [entry.name for entry in list_images(tmp_path)] == ["IMG_1.HEIC"]


def test_many_endings_are_cut_short():
    passed = PassedOver()
    for number in range(8):
        passed.add(f"x.{number}", f"x.{number}")
    assert passed.text().endswith("1 .4, 3 more")


@pytest.fixture
def special(make_folder):
    """Images among pipes and a socket with the names of images."""
    root = make_folder([f"{split}/{name}.png" for split in ("train", "test") for name in "ab"])
    os.mkfifo(root / "train" / "pipe.png")
    os.mkfifo(root / "train" / "pipe.gif")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(root / "test" / "socket.jpg"))
    return root


def test_pipes_and_sockets_are_named_and_never_opened(special, caplog):
    with caplog.at_level("INFO"):
        splits = ImageFolder(special).splits()
    assert [len(splits[split]) for split in ("train", "test")] == [2, 2]
    said = "passed over test/socket.jpg (a socket), train/pipe.gif (a pipe), train/pipe.png (a pipe)"
    assert said in caplog.text
    jobs, others = plan(special, special / "out", Domain())
    assert len(jobs) == 4 and len(others.special) == 3
    caplog.clear()
    with caplog.at_level("INFO"):
        recordings = find_recordings(special)
    assert [[len(each) for each in recordings[split]] for split in ("train", "test")] == [[2], [2]]
    assert "pipe.gif (a pipe)" in caplog.text
    assert len(find_recording(special / "train")) == 2


def test_a_pipe_in_place_of_a_folder_is_refused(special):
    for read in (list_images, find_recordings, find_recording):
        with pytest.raises(UserError, match=r"pipe\.png is a pipe: give"):
            read(special / "train" / "pipe.png")


def test_results_within_the_input_are_not_counted(mixed):
    (mixed / "out").mkdir()
    (mixed / "out" / "index.html").write_text("ours")
    assert ".html" not in plan(mixed, mixed / "out", Domain())[1].endings
