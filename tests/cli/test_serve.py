"""The command `biounet serve`: what it refuses, in one line, before anything is opened, and how it ends."""

import re
import subprocess
import sys
import urllib.request

import pytest

from biounet.io import read
from processes import process_of
from small_projects import draw_spots, rectangle


def test_without_the_extra_one_line_says_what_to_install(command, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "starlette", None)
    status, out, err = command("serve", draw_spots(tmp_path))
    assert (status, out) == (2, "")
    assert err == "biounet: this needs starlette, which is not installed; pip install 'biounet[web]'\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--host", "0.0.0.0"], "lets other machines in; give a --token"),
        (["--token", "short"], "a token needs 8 characters"),
        (["--port", "70000"], "65535"),
    ],
)
def test_what_is_not_safe_is_refused(command, tmp_path, words, message):
    pytest.importorskip("starlette", reason="the page needs the extra web")
    status, _, err = command("serve", draw_spots(tmp_path), *words)
    assert status == 2
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / ".biounet").exists()


@pytest.mark.parametrize(("name", "message"), [("nowhere", "no such folder"), ("empty", "has no images")])
def test_a_folder_without_images_is_told(command, tmp_path, name, message):
    pytest.importorskip("starlette", reason="the page needs the extra web")
    (tmp_path / "empty").mkdir()
    status, _, err = command("serve", tmp_path / name, "--port", "0")
    assert status == 2
    assert message in err
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_server_that_is_told_to_end_writes_label_files_first(tmp_path):
    pytest.importorskip("starlette", reason="the page needs the extra web")
    words = [sys.executable, "-m", "biounet", "serve", str(draw_spots(tmp_path)), "--port", "0"]
    with process_of(words, stderr=subprocess.PIPE, text=True) as server:
        said = [server.stderr.readline() for _ in range(3)]
        base, token = re.search(r"(http://\S+)/#(\S+)", said[1]).groups()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        edit = rectangle(10, 10, 24, 30, version=0).model_dump_json().encode()
        urllib.request.urlopen(urllib.request.Request(f"{base}/api/images/0/edits", edit, headers), timeout=30).close()
        server.terminate()
        assert server.wait(60) == 143
    (labels,) = (tmp_path / "labels").iterdir()
    assert read(labels, labels=True).array.max() == 1
