"""The cache on disk: what is listed, what is cleared, and what is never touched."""

import os
import time

import pytest
import torch
from PIL import Image

from gan_lab.cache import cache
from gan_lab.cli.cached_files import age, bytes_in_words, list_cached
from gan_lab.common.errors import UserError
from gan_lab.data.loading.cache import render
from gan_lab.data.reading.files import ImageFolder
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.evaluation.cache import cached

DAY = 86400


def old(things, days):
    for each in things:
        for path in each.files:
            os.utime(path, (time.time() - days * DAY,) * 2)


def read_all(folder):
    """Reads, or else makes, what the program caches: pixels, the checksum of their files, and a statistic."""
    render(ImageFolder(str(folder.with_name("photos"))).splits()["all"], ResizeSpec((6, 8), (6, 8), 3), folder=folder)
    cached(["mean", 1], lambda: {"mean": torch.zeros(256)}, folder)


@pytest.fixture
def folder(tmp_path):
    """What the program caches, a left-over part, and files of others."""
    folder, photos = tmp_path / "cache", tmp_path / "photos"
    photos.mkdir()
    for number in range(3):
        Image.new("RGB", (9, 9), (number, 90, 30)).save(photos / f"{number}.png")
    read_all(folder)
    part = folder / "pixels" / f".{'b' * 32}.{'0' * 32}.u8"
    part.write_bytes(bytes(2048))
    os.utime(part, (time.time() - 2 * DAY,) * 2)
    for mine in (folder / "mine.u8", folder / "pixels" / "notes.npz", folder / "statistics" / "own.txt"):
        mine.write_text("mine")
    return folder


def told(capsys, folder, *arguments):
    capsys.readouterr()
    cache.run(f"cache_dir={folder}", *arguments)
    return capsys.readouterr().out.strip()


def of(folder, kind):
    return [each for each in list_cached(folder) if each.kind == kind]


def test_everything_is_listed_with_sizes_and_last_use(folder, capsys):
    old(of(folder, "statistics"), 3)
    said = told(capsys, folder).splitlines()
    assert said[0].startswith(f"{folder} holds 4 with ")
    assert said[1].startswith("pixels     1 with ") and said[1].endswith("last used today: rendered image sets")
    assert "3 images, 8×6 px" in said[2]
    assert "statistics 1 with " in said[3] and "last used 3 days ago" in said[3]
    assert said[4].startswith("indexes    1 with ")
    assert said[5].startswith("left over  1 with 2.0 KiB, last used 2 days ago")


@pytest.mark.parametrize(
    ("what", "left"),
    [
        ("all", set()),
        ("pixels", {"statistics"}),
        ("statistics", {"pixels", "indexes"}),
        ("unused", {"pixels", "indexes"}),
    ],
)
def test_what_is_asked_is_cleared_and_files_of_others_stay(folder, capsys, what, left):
    old(of(folder, "statistics"), 40)
    before = sum(each.size for each in list_cached(folder))
    said = told(capsys, folder, f"clear={what}")
    kept = list_cached(folder)
    assert {each.kind for each in kept} == left
    freed, gone = before - sum(each.size for each in kept), 4 - len(kept)
    assert said == f"Cleared {gone} with {bytes_in_words(freed)} of 4 with {bytes_in_words(before)} in {folder}."
    mine = [path.name for path in folder.rglob("*") if path.is_file() and path.read_bytes() == b"mine"]
    assert sorted(mine) == ["mine.u8", "notes.npz", "own.txt"]
    read_all(folder)
    assert {each.kind for each in list_cached(folder)} >= {"pixels", "statistics", "indexes"}


def test_use_is_noted_when_a_file_is_read(folder, capsys):
    old(list_cached(folder), 40)
    read_all(folder)
    assert told(capsys, folder, "clear=unused").startswith("Cleared 1 with 2.0 KiB of 4")
    assert {each.kind for each in list_cached(folder)} == {"pixels", "statistics", "indexes"}


def test_unused_counts_the_days_that_are_given(folder, capsys):
    old(list_cached(folder), 5)
    told(capsys, folder, "clear=unused", "days=6")
    assert len(list_cached(folder)) == 3, "the left-over part alone is gone"
    told(capsys, folder, "clear=unused", "days=4")
    assert not list_cached(folder)


def test_an_empty_or_missing_cache_is_no_error(tmp_path, capsys):
    for place in (tmp_path, tmp_path / "missing"):
        assert told(capsys, place, "clear=all") == f"Nothing is cached in {place}."
    assert not (tmp_path / "missing").exists()


def test_wrong_values_are_refused(folder):
    with pytest.raises(UserError, match="clear=some is not valid: give all, pixels, statistics or unused or null"):
        cache.run(f"cache_dir={folder}", "clear=some")
    assert len(list_cached(folder)) == 4


def test_sizes_and_ages_in_words():
    sizes = (0, 1023, 2048, 50 << 20, 5 << 30, 3 << 40)
    assert [*map(bytes_in_words, sizes)] == ["0 bytes", "1023 bytes", "2.0 KiB", "50 MiB", "5.0 GiB", "3.0 TiB"]
    assert [age(time.time() - days * DAY) for days in (0, 1.5, 9.2)] == ["today", "yesterday", "9 days ago"]
