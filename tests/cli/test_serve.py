"""The command `biounet serve`: what it refuses, in one line, before anything is opened."""

import sys

import pytest

from small_projects import draw_spots


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
