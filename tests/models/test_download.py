"""Public weights from a server in this process: whole, resumed, broken, wrong; nothing leaves the machine."""

import hashlib
import io
import os
import pickle
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module

import pytest
import torch
from safetensors import safe_open

from biounet.core.errors import ConfigError, DownloadError, OutputError
from biounet.models.download import SOURCES, Source, download

WEIGHTS = {"features.0.weight": torch.arange(4096.0).view(64, 64), "features.0.bias": torch.ones(3)}


def saved(thing) -> bytes:
    stream = io.BytesIO()
    torch.save(thing, stream)
    return stream.getvalue()


CONTENT = saved(WEIGHTS)


class Server(ThreadingHTTPServer):
    """A server of one file, with faults on demand."""

    content = CONTENT
    knows_ranges = True
    breaks = 0  # how many answers still end in the middle
    status = 200

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = []  # the Range header of every request

    @property
    def source(self) -> Source:
        return Source(f"{self.address}/net.pth", hashlib.sha256(CONTENT).hexdigest()[:8], "nobody's")

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server, wanted = self.server, self.headers.get("Range")
        server.asked.append(wanted)
        first = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and server.knows_ranges else 0
        body = server.content[first:]
        if server.status != 200:
            self.send_error(server.status)
            return
        if first and not body:
            self.send_error(416)
            return
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if server.breaks:
            server.breaks -= 1
            body = body[: len(body) // 2]
        self.wfile.write(body)

    def log_message(self, *words):
        pass


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def fetch(server, folder, **options):
    return download("net", folder, sources={"net": server.source}, **options)


def check(path):
    """The file holds the weights, and stands alone in its folder."""
    with safe_open(path, framework="pt") as file:
        assert set(file.keys()) == set(WEIGHTS)
        assert all(torch.equal(file.get_tensor(name), value) for name, value in WEIGHTS.items())
    assert [other.name for other in path.parent.iterdir()] == ["net.safetensors"]


def test_weights_arrive_as_safetensors_that_say_where_they_are_from(server, tmp_path):
    seen = []
    path = fetch(server, tmp_path / "new", progress=lambda share, text: seen.append(share))
    check(path)
    assert seen[-1] == 1
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {"source": server.source.url, "terms": "nobody's"}
    assert server.asked == [None]


@pytest.mark.parametrize("have", [1, 1000, len(CONTENT) - 1])
def test_what_has_arrived_is_not_fetched_again(server, tmp_path, have):
    (tmp_path / "net.pth.part").write_bytes(CONTENT[:have])
    check(fetch(server, tmp_path))
    assert server.asked == [f"bytes={have}-"]


def test_a_file_that_had_arrived_whole_is_only_checked(server, tmp_path):
    (tmp_path / "net.pth.part").write_bytes(CONTENT)
    check(fetch(server, tmp_path))


def test_a_server_without_ranges_begins_again(server, tmp_path):
    server.knows_ranges = False
    (tmp_path / "net.pth.part").write_bytes(CONTENT[:1000])
    check(fetch(server, tmp_path))


def test_a_transfer_that_breaks_goes_on(server, tmp_path):
    server.breaks = 2
    check(fetch(server, tmp_path))
    half = len(CONTENT) // 2
    assert server.asked[:2] == [None, f"bytes={half}-"]


def test_a_transfer_that_always_breaks_is_said_and_goes_on_next_time(server, tmp_path):
    server.breaks = 3
    with pytest.raises(DownloadError, match=r"broke off after \d+ of \d+ bytes; run again"):
        fetch(server, tmp_path)
    assert not (tmp_path / "net.safetensors").exists()
    check(fetch(server, tmp_path))
    assert server.asked[-1] != "bytes=0-"
    assert len(server.asked) == 4


def test_a_wrong_file_is_said_and_removed(server, tmp_path):
    server.content = CONTENT[:-1] + b"!"
    with pytest.raises(DownloadError, match=rf"SHA-256 \w{{8}}\.\.\., wanted {server.source.sha256}"):
        fetch(server, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_wrong_beginning_is_found_when_the_rest_has_come(server, tmp_path):
    (tmp_path / "net.pth.part").write_bytes(b"something else")
    with pytest.raises(DownloadError, match="removed"):
        fetch(server, tmp_path)
    check(fetch(server, tmp_path))


def test_a_missing_file_is_said_at_once(server, tmp_path):
    server.status = 404
    with pytest.raises(DownloadError, match=r"answers 404 .* --from FILE"):
        fetch(server, tmp_path)
    assert len(server.asked) == 1


def test_no_network_is_said(tmp_path):
    with Server() as gone:
        source = gone.source
    with pytest.raises(DownloadError, match="cannot be reached"):
        download("net", tmp_path, sources={"net": source})


def test_what_is_no_state_dict_is_refused(server, tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("this must not be called",))

    for content in (pickle.dumps(Evil(), protocol=2), saved([1, 2]), b"no pickle"):
        server.content = content
        source = Source(server.source.url, hashlib.sha256(content).hexdigest(), "nobody's")
        with pytest.raises(DownloadError, match="holds no state dict"):
            download("net", tmp_path, sources={"net": source})
        assert not (tmp_path / "net.safetensors").exists()


def test_a_full_disk_is_said(server, tmp_path):
    full = tmp_path / "net.pth.part"
    try:
        full.symlink_to("/dev/full")
        full.open("wb").close()
    except OSError:
        pytest.skip("this system has no /dev/full, a disk that is always full")
    with pytest.raises(OutputError, match="disk is full"):
        fetch(server, tmp_path)


def test_nothing_is_overwritten_unasked(server, tmp_path):
    (tmp_path / "net.safetensors").write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        fetch(server, tmp_path)
    assert server.asked == []
    check(fetch(server, tmp_path, overwrite=True))


def test_a_file_that_one_has_is_taken_and_kept(server, tmp_path):
    given = tmp_path / "mine.pth"
    given.write_bytes(CONTENT)
    check(fetch(server, tmp_path / "new", origin=str(given)))
    assert given.read_bytes() == CONTENT
    assert server.asked == []


@pytest.mark.parametrize("content", [None, b"something else", CONTENT[:-1], CONTENT + b"!"])
def test_a_wrong_file_that_one_has_is_said_kept_and_nothing_written(server, tmp_path, content):
    given, words = tmp_path / "mine.pth", r"mine.pth cannot be read \(No such file"
    if content is not None:
        given.write_bytes(content)
        words = rf"mine.pth has the SHA-256 \w{{8}}\.\.\., wanted {server.source.sha256}\.\.\.; give the file of http"
    with pytest.raises(DownloadError, match=words):
        fetch(server, tmp_path / "new", origin=str(given))
    assert not (tmp_path / "new").exists()
    assert content is None or given.read_bytes() == content


def test_a_file_of_the_right_hash_that_holds_no_weights_is_kept(tmp_path):
    given = tmp_path / "mine.pth"
    given.write_bytes(b"no pickle")
    source = Source("http://nowhere/net.pth", hashlib.sha256(b"no pickle").hexdigest(), "nobody's")
    with pytest.raises(DownloadError, match=r"mine.pth holds no state dict"):
        download("net", tmp_path / "new", origin=str(given), sources={"net": source})
    assert [path.name for path in tmp_path.iterdir()] == ["mine.pth"]


def test_another_address_gives_the_same_file(server, tmp_path):
    public = Source("http://127.0.0.1:9/net.pth", server.source.sha256, "nobody's")
    (tmp_path / "net.pth.part").write_bytes(CONTENT[:1000])  # of the public address
    mirror = f"{server.address}/any/name?key=1"
    check(download("net", tmp_path, origin=mirror, sources={"net": public}))
    assert server.asked == ["bytes=1000-"]
    server.content = b"something else"
    with pytest.raises(DownloadError, match=r"name\?key=1 has the SHA-256 .* removed"):
        download("net", tmp_path / "new", origin=mirror, sources={"net": public})
    assert not list((tmp_path / "new").iterdir())


@pytest.mark.parametrize("address", ["http://[", "http://", "http://127.0.0.1:port/net.pth"])
def test_what_is_no_address_is_said(server, tmp_path, address):
    with pytest.raises(DownloadError, match=r"cannot be reached .* --from FILE"):
        fetch(server, tmp_path, origin=address)


def test_an_unknown_name_is_refused_with_those_that_are_known(tmp_path):
    with pytest.raises(ConfigError, match="vgg11, vgg11_bn, vgg16, vgg16_bn, got 'vgg12'"):
        download("vgg12", tmp_path)


def test_public_addresses_are_those_of_torchvision():
    # torchvision 0.21, models/vgg.py: the digits in a name are the first of the SHA-256 of the file
    assert {source.url.rpartition("/")[2] for source in SOURCES.values()} == {
        "vgg11-8a719046.pth",
        "vgg11_bn-6002323d.pth",
        "vgg16-397923af.pth",
        "vgg16_bn-6c64b313.pth",
    }
    for source in SOURCES.values():
        assert source.url.startswith("https://download.pytorch.org/models/")
        assert source.url.endswith(f"-{source.sha256}.pth")


def test_the_command_says_how_to_go_on(server, tmp_path, monkeypatch, command):
    monkeypatch.setattr(import_module("biounet.models.download"), "SOURCES", {"vgg11_bn": server.source})
    status, _, said = command("download", "vgg11_bn", "--out", tmp_path)
    assert status == 0
    assert "--model ternausnet" in said
    assert "model.norm=batch" in said
    assert (tmp_path / "vgg11_bn.safetensors").is_file()


def test_the_command_takes_a_file(server, tmp_path, monkeypatch, command):
    monkeypatch.setattr(import_module("biounet.models.download"), "SOURCES", {"vgg11": server.source})
    (tmp_path / "mine.pth").write_bytes(CONTENT)
    status, _, said = command("download", "vgg11", "--from", tmp_path / "mine.pth", "--out", tmp_path / "new")
    assert (status, server.asked) == (0, [])
    assert "model.norm=none" in said
    assert (tmp_path / "new" / "vgg11.safetensors").is_file()
    status, _, said = command("download", "vgg11", "--from", tmp_path / "none.pth", "--out", tmp_path / "other")
    assert status == 2
    assert "none.pth cannot be read" in said


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes among files")
def test_a_named_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "mine.pth")
    with pytest.raises(DownloadError, match=r"mine\.pth: it is a named pipe, which is no file"):
        download("vgg16", tmp_path, origin=str(tmp_path / "mine.pth"))
