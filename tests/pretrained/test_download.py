import hashlib
import os

import pytest
from server import serving

from demucs_lab.pretrained import download as room
from demucs_lab.pretrained.download import Missing, download, is_whole

DATA = os.urandom(3_000_000)
SHA = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.delenv("DEMUCS_LAB_OFFLINE", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving() as running:
        running.files["/a.th"] = running.files["/resolve/a"] = DATA
        yield running


def test_a_file_arrives_whole_and_is_remembered(server, tmp_path):
    path = tmp_path / "deep" / "a.th"
    download(f"{server.url}/a.th", path, SHA[:8], progress=False)
    assert path.read_bytes() == DATA
    assert is_whole(path)
    assert is_whole(path, SHA[:8])
    assert sorted(file.name for file in path.parent.iterdir()) == ["a.th", "a.th.sha256"]


def test_the_hub_states_the_hash_where_it_redirects(server, tmp_path):
    path = tmp_path / "a.safetensors"
    download(f"{server.url}/resolve/a", path, progress=False)
    assert path.read_bytes() == DATA
    path.write_bytes(DATA[:-1])
    assert not is_whole(path)


@pytest.mark.parametrize("where", ["/a.th", "/resolve/a"])
def test_a_broken_download_goes_on_where_it_stopped(server, tmp_path, where):
    path, server.break_after = tmp_path / "a", 2_000_000
    with pytest.raises(ConnectionError, match="broke off after 2000000 of 3000000"):
        download(server.url + where, path, SHA, progress=False)
    assert not path.exists()
    server.break_after = None
    server.asked.clear()
    download(server.url + where, path, SHA, progress=False)
    assert path.read_bytes() == DATA
    assert {asked for _, asked in server.asked} == {"bytes=2000000-"}


def test_a_download_that_was_complete_but_not_named_is_no_problem(server, tmp_path):
    (tmp_path / "a.part").write_bytes(DATA)
    download(f"{server.url}/a.th", tmp_path / "a", SHA, progress=False)
    assert (tmp_path / "a").read_bytes() == DATA


@pytest.mark.parametrize("begun", [b"", b"something else entirely"])
def test_what_is_not_what_was_published_is_removed(server, tmp_path, begun):
    (tmp_path / "a.part").write_bytes(begun)
    expected = SHA if begun else "0" * 64
    with pytest.raises(ValueError, match="is not what its authors published"):
        download(f"{server.url}/a.th", tmp_path / "a", expected, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_a_hash_to_compare_with_is_not_trusted(server, tmp_path):
    with pytest.raises(ConnectionError, match="states no SHA-256 to compare with"):
        download(f"{server.url}/a.th", tmp_path / "a", progress=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("tag", ['W/"{}"', "{}", '"{}"'])
def test_a_hash_is_read_however_it_is_quoted(server, tmp_path, tag):
    server.tag = tag
    download(f"{server.url}/resolve/a", tmp_path / "a", progress=False)
    assert (tmp_path / "a").read_bytes() == DATA


@pytest.mark.parametrize("tag", [None, "", '"d41d8cd98f00b204e9800998ecf8427e"'])
def test_a_tag_that_is_no_sha256_is_no_hash(server, tmp_path, tag):
    server.tag = tag
    with pytest.raises(ConnectionError, match="states no SHA-256"):
        download(f"{server.url}/resolve/a", tmp_path / "a", progress=False)
    assert list(tmp_path.iterdir()) == []


def test_what_the_server_answers_is_told(server, tmp_path):
    with pytest.raises(Missing, match="is not there"):
        download(f"{server.url}/b.th", tmp_path / "a", SHA, progress=False)
    server.status = 503
    with pytest.raises(ConnectionError, match="503"):
        download(f"{server.url}/a.th", tmp_path / "a", SHA, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_nobody_answers(tmp_path, monkeypatch):
    monkeypatch.delenv("DEMUCS_LAB_OFFLINE", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving() as server:
        url = server.url
    with pytest.raises(ConnectionError, match="refused"):
        download(f"{url}/a.th", tmp_path / "a", SHA, progress=False)


def test_offline_means_offline(server, tmp_path, monkeypatch):
    monkeypatch.setenv("DEMUCS_LAB_OFFLINE", "1")
    with pytest.raises(ConnectionError, match="DEMUCS_LAB_OFFLINE"):
        download(f"{server.url}/a.th", tmp_path / "a", SHA, progress=False)
    assert server.asked == []
    monkeypatch.setenv("DEMUCS_LAB_OFFLINE", "0")
    assert not room.offline()


def test_a_full_disk_is_one_sentence_and_keeps_what_arrived(server, tmp_path, monkeypatch):
    monkeypatch.setattr(room, "_BLOCK", 1 << 16)
    opened = type(tmp_path).open

    class Limited:
        def __init__(self, file):
            self.inside, self.left = file, 1_000_000

        def write(self, block):
            self.left -= len(block)
            if self.left < 0:
                raise OSError(28, "No space left on device")
            return self.inside.write(block)

        def flush(self):
            self.inside.flush()

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.inside.close()

    def limited(path, mode="r", *rest, **more):
        file = opened(path, mode, *rest, **more)
        return Limited(file) if mode in ("wb", "ab") else file

    monkeypatch.setattr(type(tmp_path), "open", limited)
    with pytest.raises(OSError, match="No space left on device; make room and start again"):
        download(f"{server.url}/a.th", tmp_path / "a", SHA, progress=False)
    monkeypatch.setattr(type(tmp_path), "open", opened)
    assert 900_000 < (tmp_path / "a.part").stat().st_size <= 1_000_000
    download(f"{server.url}/a.th", tmp_path / "a", SHA, progress=False)
    assert (tmp_path / "a").read_bytes() == DATA
