"""Archives from a server in this process that interrupts, ignores ranges, sends wrong bytes or is down."""

import hashlib
import io
import shutil
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from gan_lab.common import transfer
from gan_lab.common.errors import UserError
from gan_lab.data import presets
from gan_lab.data.reading import download
from gan_lab.data.reading.archives import ARCHIVES
from gan_lab.data.reading.download import Archive, fetch, unpack


def png(number):
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(number).integers(0, 256, (16, 16, 3), np.uint8)).save(stream, "PNG")
    return stream.getvalue()


FILES = {f"set/{split}{side}/{n}.png": png(n) for split in ("train", "test") for side in "AB" for n in range(3)}


def zipped(files=FILES):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def taped(files=FILES):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


class Server(BaseHTTPRequestHandler):
    def do_GET(self):
        state = self.server
        state.asked.append((self.path, self.headers.get("Range")))
        content = state.content.get(self.path)
        if content is None:
            self.send_error(404)
            return
        start = int(self.headers["Range"][6:-1]) if self.headers.get("Range") and state.parts else 0
        if state.failures:
            self.send_error(state.failures.pop(0))
            return
        if start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        headers = {"Content-Length": len(content) - start}
        headers |= {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        for name, value in (headers | state.headers).items():
            if value is not None:
                self.send_header(name, str(value))
        self.end_headers()
        cut = state.cuts.pop(0) if state.cuts else len(content)
        self.wfile.write(content[start : start + cut])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    """``content`` by path; ``cuts``: after how many bytes the next answers break off; ``asked``: paths and ranges;
    ``failures``: the status of the next answers; ``headers``: headers in place of the right ones, None for none.
    """
    http = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    http.content, http.asked, http.cuts, http.parts, http.failures, http.headers = {}, [], [], True, [], {}
    http.url = f"http://127.0.0.1:{http.server_port}"
    threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
    yield http
    http.shutdown()
    http.server_close()


def archive_of(server, content, *paths, sha256=True):
    for path in paths:
        server.content[path] = content
    digest = hashlib.sha256(content).hexdigest()
    return Archive(tuple(server.url + path for path in paths), len(content), digest if sha256 else None, 12)


def contents(root):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*.png")}


@pytest.mark.parametrize("pack", [zipped, taped])
def test_an_archive_becomes_a_folder_and_nothing_else_is_left(server, tmp_path, caplog, pack):
    archive, root = archive_of(server, pack(), "/set.zip"), tmp_path / "data/set"
    with caplog.at_level("INFO"):
        fetch(archive, root)
    assert contents(root) == FILES and [path.name for path in root.parent.iterdir()] == ["set"]
    assert f"12 images from set.zip, sha256 {archive.sha256}" in caplog.text
    fetch(archive, root)
    assert len(server.asked) == 1, "what is there is not fetched"


def test_an_interrupted_download_continues_where_it_stopped(server, tmp_path, monkeypatch):
    archive, root = archive_of(server, zipped(), "/set.zip"), tmp_path / "set"
    monkeypatch.setattr(download, "PAUSES", ())
    server.cuts = [1000]
    with pytest.raises(UserError, match=r"broke after 1,000 of .* run it again"):
        fetch(archive, root)
    assert (tmp_path / "set.zip.part").stat().st_size == 1000 and not root.exists()
    fetch(archive, root)
    assert server.asked[1:] == [("/set.zip", "bytes=1000-")] and contents(root) == FILES


def test_a_single_mirror_is_tried_again(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "PAUSES", (0.0, 0.0))
    archive = archive_of(server, zipped(), "/set.zip")
    server.failures, server.cuts = [503], [1000]
    fetch(archive, tmp_path / "set")
    assert [part for _, part in server.asked] == [None, None, "bytes=1000-"] and contents(tmp_path / "set") == FILES
    server.failures = [503, 502, 500]
    with pytest.raises(UserError, match="500"):
        fetch(archive, tmp_path / "other")
    with pytest.raises(UserError, match="404"):
        fetch(Archive((server.url + "/gone.zip",)), tmp_path / "other")
    assert len(server.asked) == 7, "what is not there is asked for once"


@pytest.mark.parametrize("length", [None, "many", "-3", "", "1e6", "²"])
@pytest.mark.parametrize("sha256", [True, False])
def test_a_length_that_is_missing_or_no_number(server, tmp_path, length, sha256):
    archive = archive_of(server, zipped(), "/set.zip", sha256=sha256)
    server.headers = {"Content-Length": length.encode().decode("latin1") if length else length}
    fetch(archive if sha256 else Archive(archive.urls), tmp_path / "set")
    assert contents(tmp_path / "set") == FILES


def test_no_more_than_what_is_expected_is_read(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "PAUSES", ())
    archive = archive_of(server, zipped() + bytes(1 << 20), "/set.zip")
    for size, length, what in ((1000, None, "sends more than the 1,000 bytes"), (1000, 2000, "offers 2,000 bytes")):
        server.headers = {"Content-Length": length}
        with pytest.raises(UserError, match=what):
            fetch(Archive(archive.urls, size), tmp_path / "set")
    monkeypatch.setattr(download, "MAX_BYTES", 5000)
    for length, what in (
        (None, "sends more than the 5,000 bytes"),
        (9000, "offers 9,000 bytes instead of at most 5,000"),
    ):
        server.headers = {"Content-Length": length}
        with pytest.raises(UserError, match=what):
            fetch(Archive(archive.urls), tmp_path / "set")
    assert sum(path.stat().st_size for path in tmp_path.rglob("*")) <= 5000


def test_a_download_has_an_end(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "PAUSES", ())
    monkeypatch.setattr(transfer, "GRACE", -1.0)
    with pytest.raises(UserError, match=r"it is too slow, with [\d,]+ bytes in 0 s"):
        fetch(archive_of(server, zipped(), "/set.zip"), tmp_path / "set")


@pytest.mark.parametrize("answered", [None, "bytes 7-9/10", "nonsense"])
def test_a_part_that_was_not_asked_for_is_not_used(server, tmp_path, answered):
    content = zipped()  # at one time, which it stores
    archive = archive_of(server, content, "/set.zip")
    (tmp_path / "set.zip.part").write_bytes(content[:500])
    server.headers = {"Content-Range": answered}
    fetch(archive, tmp_path / "set")
    assert [part for _, part in server.asked] == ["bytes=500-", None] and contents(tmp_path / "set") == FILES


def test_a_checksum_that_nobody_published_is_kept(server, tmp_path):
    content, record = zipped(), tmp_path / "set.zip.sha256"
    archive = archive_of(server, content, "/set.zip", sha256=False)
    with pytest.warns(UserWarning, match=r"set\.zip is unverified, because its publisher gives no sha256"):
        fetch(archive, tmp_path / "set")
    assert record.read_text() == f"{hashlib.sha256(content).hexdigest()}  set.zip\n"
    fetch(archive, tmp_path / "again")
    archive_of(server, zipped({**FILES, "set/trainA/0.png": png(9)}), "/set.zip")
    with pytest.raises(UserError, match=r"has the sha256 .*, which .*set\.zip\.sha256 has from the first"):
        fetch(Archive(archive.urls), tmp_path / "other")


def test_a_server_without_ranges_starts_again(server, tmp_path):
    archive = archive_of(server, zipped(), "/set.zip")
    server.parts = False
    (tmp_path / "set.zip.part").write_bytes(zipped()[:500])
    fetch(archive, tmp_path / "set")
    assert contents(tmp_path / "set") == FILES


@pytest.mark.parametrize("sha256", [True, False])
def test_a_complete_download_is_only_verified(server, tmp_path, sha256):
    archive = archive_of(server, taped(), "/set.tar.gz", sha256=sha256)
    (tmp_path / "set.tar.gz.part").write_bytes(taped())
    fetch(archive, tmp_path / "set")
    assert contents(tmp_path / "set") == FILES


def test_mirrors_are_tried_in_order(server, tmp_path):
    good, bad = zipped(), bytearray(zipped())
    bad[100] ^= 1
    server.content["/wrong.zip"], server.content["/short.zip"] = bytes(bad), good[:-5]
    archive = archive_of(server, good, "/set.zip")
    paths = ("/gone.zip", "/short.zip", "/wrong.zip", "/set.zip")
    fetch(Archive(tuple(server.url + path for path in paths), archive.size, archive.sha256), tmp_path / "set")
    assert [path for path, _ in server.asked] == list(paths) and contents(tmp_path / "set") == FILES


def test_a_file_that_the_user_placed_is_used_and_kept(server, tmp_path):
    archive = archive_of(server, zipped(), "/set.zip")
    (tmp_path / "set.zip").write_bytes(zipped())
    fetch(archive, tmp_path / "set")
    assert not server.asked and (tmp_path / "set.zip").is_file() and contents(tmp_path / "set") == FILES
    (tmp_path / "set.zip").write_bytes(zipped()[:-1])
    with pytest.raises(UserError, match=r"set\.zip has the sha256 .* instead of"):
        fetch(archive, tmp_path / "other")


def test_the_error_without_a_network_says_where_to_put_the_file(tmp_path):
    archive = Archive(("http://127.0.0.1:9/set.zip", "http://127.0.0.1:9/mirror/set.zip"))
    with pytest.raises(
        UserError, match=r"127\.0\.0\.1:9/set\.zip or .*mirror/set\.zip by other means and put it at"
    ) as no:
        fetch(archive, tmp_path / "set")
    assert str(tmp_path / "set.zip") in str(no.value) and "data.root" in str(no.value) and "\n" not in str(no.value)


def test_a_full_disk_is_reported_before_downloading(server, tmp_path, monkeypatch):
    archive = archive_of(server, zipped(), "/set.zip")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": 3000})())
    with pytest.raises(UserError, match="MiB free and"):
        fetch(archive, tmp_path / "set")
    assert not list(tmp_path.iterdir())


def linked_tape():
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        member = tarfile.TarInfo("a.png")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    return stream.getvalue()


def linked_zip():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        info = zipfile.ZipInfo("a.png")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    return stream.getvalue()


BAD_ARCHIVES = {  # functions, because a tape stores its time of creation
    "zip, up": (lambda: zipped({"../a.png": b"x"}), "is outside"),
    "tape, root": (lambda: taped({"/a.png": b"x"}), "is outside"),
    "tape, up": (lambda: taped({"x/../../a.png": b"x"}), "is outside"),
    "tape, link": (linked_tape, "no regular file"),
    "zip, link": (linked_zip, "no regular file"),
    "zip, huge": (lambda: zipped({"a.png": bytes(50 << 20)}), "unpacks to more"),
    "tape, huge": (lambda: taped({"a.png": bytes(50 << 20)}), "unpacks to more"),
    "zip, text": (lambda: zipped({"a.txt": b"x"}), "0 images instead of any"),
    "tape, cut": (lambda: taped()[:-20], "ended before"),
    "zip, cut": (lambda: zipped()[:-40], "not a gzip"),
    "page": (lambda: b"<html>moved</html>", "not a gzip"),
}


@pytest.mark.parametrize(("content", "what"), BAD_ARCHIVES.values(), ids=BAD_ARCHIVES)
def test_a_bad_archive_leaves_nothing(tmp_path, content, what):
    (tmp_path / "in").mkdir()
    file = tmp_path / "in/file"
    file.write_bytes(content())
    with pytest.raises(download.FAILURES, match=f"(?i){what}"):
        unpack(file, tmp_path / "in/root")
    assert [path.name for path in tmp_path.rglob("*")] == ["in", "file"]


def test_a_damaged_archive_of_unknown_checksum_is_downloaded_again(server, tmp_path):
    bad = bytearray(taped())
    bad[-6] ^= 1  # of gzip's own checksum
    archive = archive_of(server, bytes(bad), "/set.tar.gz", sha256=False)
    with pytest.raises(UserError, match="CRC"):
        fetch(archive, tmp_path / "set")
    archive_of(server, taped(), "/set.tar.gz")
    fetch(archive, tmp_path / "set")
    assert contents(tmp_path / "set") == FILES


def test_several_processes_download_once(server, tmp_path):
    archive = archive_of(server, zipped(), "/set.zip")
    threads = [threading.Thread(target=fetch, args=(archive, tmp_path / "set")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.asked) == 1 and contents(tmp_path / "set") == FILES


def test_a_preset_downloads_a_missing_set_and_reads_a_copy(server, tmp_path, monkeypatch):
    monkeypatch.setitem(ARCHIVES, "horse2zebra", archive_of(server, zipped(), "/set.zip"))

    def preset(root):
        domains = {"a": {"channels": 3}, "b": {"channels": 3}}
        return presets.unpaired(
            str(root), archive="horse2zebra", name="horse2zebra", domains=domains, size=8, batch_size=1
        )

    data = preset(tmp_path / "horse2zebra")
    data.prepare_data()
    assert data.sides["a"].count("train") == 3 and len(server.asked) == 1
    preset(tmp_path / "horse2zebra").prepare_data()
    (tmp_path / "copy.zip").write_bytes(zipped())
    assert preset(tmp_path / "copy.zip").sides["b"].count("test") == 3
    assert len(server.asked) == 1


def test_urls_and_sizes():
    assert ARCHIVES["horse2zebra"].size == 116867962 and ARCHIVES["horse2zebra"].file == "horse2zebra.zip"
    assert ARCHIVES["iphone2dslr"].urls[0].endswith("/iphone2dslr_flower.zip")
    assert ARCHIVES["facades"].urls == ("http://efrosgans.eecs.berkeley.edu/pix2pix/datasets/facades.tar.gz",)
    assert all(len(a.sha256) == 64 and len(a.urls) == 2 for a in ARCHIVES.values() if a.sha256)
    assert [name for name, a in ARCHIVES.items() if not a.sha256] == [
        *("facades", "maps", "cityscapes", "edges2shoes", "edges2handbags", "night2day")
    ], "sets that no checksum is published for"
