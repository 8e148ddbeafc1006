"""The application without a network: what it answers, and whom it refuses."""

import gzip
import json

import numpy as np
import pytest

from servers import TOKEN
from small_projects import draw_spots, everything

pytest.importorskip("starlette", reason="the page needs the extra web")
from starlette.testclient import TestClient

from biounet.core.boxes import Box
from biounet.web.app import make_app
from biounet.web.guard import LARGEST_BODY
from biounet.workspace import Workspace
from biounet.workspace.predictions import Prediction

HOST = "127.0.0.1:8000"
SQUARE = {"kind": "outline", "points": [[10, 10], [10, 30], [20, 30], [20, 10]]}


@pytest.fixture
def workspace(tmp_path):
    with Workspace(draw_spots(tmp_path, images=2), learn=False) as opened:
        yield opened


@pytest.fixture
def client(workspace):
    app = make_app(workspace, token=TOKEN, hosts=frozenset({HOST}))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with TestClient(app, base_url=f"http://{HOST}", headers=headers, raise_server_exceptions=True) as made:
        yield made


def integers(response, dtype=np.int32):
    shape = tuple(map(int, response.headers["x-shape"].split("x")))
    return np.frombuffer(response.content, dtype).reshape(shape)


def test_the_page_and_its_parts_are_there_and_nothing_else(client):
    page = client.get("/", headers={"Authorization": ""})
    assert page.status_code == 200
    assert "main.js" in page.text
    for name in ("main.js", "page.css", "icon.svg"):
        assert client.get(f"/{name}").status_code == 200
    for name in (
        "index.html",
        "app.py",
        "%2e%2e%2fapp.py",
        "..%5capp.py",
        "main.js/../../app.py",
        "C:%5c",
        "%00",
    ):
        assert client.get(f"/{name}").status_code == 404


def test_no_answer_lets_a_page_load_from_elsewhere(client):
    for address in ("/", "/api/project", "/nothing"):
        headers = client.get(address).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer ", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"bearer{TOKEN}"])
def test_without_the_token_nothing_is_told(client, given):
    for address in ("/api/project", "/api/images/0", "/api/events", "/api/download/labels", "/api/nothing"):
        answer = client.get(address, headers={"Authorization": given})
        assert answer.status_code == 403
        assert "spots" not in answer.text
    assert client.post("/api/images/0/edits", headers={"Authorization": given}, json=SQUARE).status_code == 403
    assert client.get(f"/api/project?token={TOKEN}", headers={"Authorization": given}).status_code == 403


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1:9", "127.0.0.1.evil.example:8000", ""]
)
def test_another_host_is_refused(client, host):
    assert client.get("/api/project", headers={"Host": host}).status_code == 400
    assert client.get("/", headers={"Host": host}).status_code == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9"},
        {"Origin": f"https://{HOST}"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_page_from_elsewhere_is_refused(client, headers):
    assert client.post("/api/images/0/edits", headers=headers, json=SQUARE).status_code == 403
    assert client.get("/api/project", headers=headers).status_code == 403
    own = {"Origin": f"http://{HOST}", "Sec-Fetch-Site": "same-origin"}
    assert client.get("/api/project", headers=own).status_code == 200


BAD = [
    "..",
    "%2e%2e",
    "..%2f..%2fetc%2fpasswd",
    "%2fetc%2fpasswd",
    "C:%5cWindows",
    "-1",
    "1.5",
    "99",
    "%00",
    "<script>",
    "0x1",
    "1e3",
    "9" * 40,
]


@pytest.mark.parametrize("bad", BAD)
def test_a_path_in_any_parameter_is_refused(client, bad):
    fields = ["0", "0", "0", "0", "0", "0"]
    for place in range(6):
        given = [bad if place == at else field for at, field in enumerate(fields)]
        for layer in ("pixels", "labels", "predicted"):
            image, *rest = given
            answer = client.get(f"/api/images/{image}/{layer}/{'/'.join(rest)}")
            assert answer.status_code in (400, 404), (layer, given)
            assert "root:" not in answer.text
    assert client.get(f"/api/images/{bad}").status_code in (400, 404)
    assert client.get(f"/api/download/{bad}").status_code == 404
    assert client.get(f"/api/doubtful?image={bad}").status_code == 400
    assert client.post(f"/api/images/{bad}/edits", json=SQUARE).status_code in (400, 404)


@pytest.mark.parametrize(
    "edit",
    [
        {},
        {"kind": "run", "points": [[1, 1]]},
        {**SQUARE, "path": "/etc/passwd"},
        {**SQUARE, "plane": [0, "../a"]},
        {**SQUARE, "plane": [7, 0]},
        {**SQUARE, "points": [[1, 1], [1, 2]]},
        {**SQUARE, "points": [["../", 1], [1, 2], [2, 2]]},
        {**SQUARE, "points": [[1e9, 1], [1, 2], [2, 2]]},
        {**SQUARE, "points": [[1, 1]] * 20_001},
        {**SQUARE, "radius": 1e9},
        {**SQUARE, "label": 2**31},
        {**SQUARE, "label": "<script>"},
        {"kind": "finish", "box": [5, 5, 1, 1]},
        {"kind": "merge", "points": [[1, 1], [2, 2]]},
    ],
)
def test_an_edit_that_is_none_is_refused_and_changes_nothing(client, workspace, edit):
    answer = client.post("/api/images/0/edits", json=edit)
    assert answer.status_code in (400, 422)
    assert "<script>" not in answer.text
    assert "passwd" not in answer.text
    assert workspace.image(0).store.version == 0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"kind": NaN}',
        b"[" * 100_000,
        b'{"kind": "\\ud800"}',
        b'{"\\ud800": 1}',
        b'{"plane": {}, "plane": 1}',
    ],
)
def test_a_body_that_is_no_json_is_refused(client, content):
    assert client.post("/api/images/0/edits", content=content).status_code == 422


def test_a_huge_body_is_refused_before_it_is_read(client):
    assert client.post("/api/images/0/edits", content=b" " * (LARGEST_BODY + 1)).status_code == 413


def test_an_edit_is_shown_and_undone(client, workspace):
    done = client.post("/api/images/0/edits", json=SQUARE)
    assert (done.json()["version"], done.json()["number"], done.json()["tiles"]) == (1, 1, [[0, 0]])
    tile = client.get("/api/images/0/labels/0/0/0/0/0")
    assert tile.headers["x-version"] == "1"
    assert (integers(tile) == everything(workspace.image(0).store)).all()
    assert client.get("/api/images/0").json()["undo"] is True
    assert client.post("/api/images/0/edits", json=SQUARE).status_code == 409
    assert client.post("/api/images/0/undo", json={"version": 1}).json()["version"] == 2
    assert client.post("/api/images/0/redo", json={"version": 2}).json()["version"] == 3
    assert (integers(client.get("/api/images/0/labels/0/0/0/0/0"))[10:20, 10:30] == 1).all()


def test_pixels_travel_as_compressed_integers(client, workspace):
    tile = client.get("/api/images/1/pixels/0/0/0/0/0")
    assert tile.headers["content-encoding"] == "gzip"
    expected = workspace.image(1).planes.read((0, 0), Box((0, 0), (96, 120)))
    assert (integers(tile, np.uint8) == expected).all()


def test_a_prediction_travels_as_labels_and_foreground(client, workspace):
    labels = np.zeros((40, 50), np.int32)
    labels[5:9, 5:9] = 3
    found = Prediction("spots_0", (0, 0), Box((10, 10), (50, 60)), 4, labels, (labels > 0).astype(np.uint8) * 200, 0.1)
    workspace.predictions(workspace.image(0), (0, 0)).add(found)
    content = client.get("/api/images/0/predicted/0/0/0/0/0").content
    assert len(content) == 5 * 96 * 120
    shown = np.frombuffer(content, np.int32, 96 * 120).reshape(96, 120)
    assert (shown[15:19, 15:19] > 0).all()
    assert (shown[:10] == -1).all()
    foreground = np.frombuffer(content, np.uint8, offset=4 * 96 * 120).reshape(96, 120)
    assert foreground[16, 16] == 200


def test_names_are_text_whatever_they_hold(tmp_path):
    folder = draw_spots(tmp_path)
    name = "<script>alert(1)</script>".replace("/", "\u2044")
    (folder / "images" / "spots_0.tif").rename(folder / "images" / f"{name}.tif")
    with Workspace(folder, learn=False) as opened:
        app = make_app(opened, token=TOKEN, hosts=frozenset({HOST}))
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with TestClient(app, base_url=f"http://{HOST}", headers=headers) as client:
            answer = client.get("/api/project")
            assert answer.headers["content-type"] == "application/json"
            assert answer.json()["images"][0]["name"] == name
            assert name not in client.get("/").text


def test_errors_are_one_line(client):
    answer = client.get("/api/doubtful?image=0")
    assert answer.status_code == 400
    assert answer.json() == {"error": "there is no doubtful region; wait for the next prediction"}
    answer = client.post("/api/training", json={"finish": 5})
    assert answer.json() == {"error": "learning is turned off"}


def test_what_labels_mean_can_be_changed_until_there_are_some(client):
    change = {"kind": "classes", "classes": ["background", "nerve", "<b>"]}
    assert client.post("/api/project", json=change).json()["settings"]["classes"] == ["background", "nerve", "<b>"]
    assert client.post("/api/project", json={"kind": "../"}).status_code == 400
    assert client.post("/api/images/0/edits", json={**SQUARE, "label": 2}).status_code == 200
    assert client.post("/api/project", json={"kind": "objects"}).status_code == 400


def test_labels_are_downloaded_under_a_name(client):
    client.post("/api/images/0/edits", json=SQUARE)
    answer = client.get("/api/download/labels")
    assert answer.content[:2] == b"PK"
    assert answer.headers["content-disposition"].startswith("attachment;")


def test_a_compressed_tile_is_what_it_says(client):
    with client.stream("GET", "/api/images/0/labels/0/0/0/0/0") as answer:
        raw = b"".join(answer.iter_raw())
    assert len(gzip.decompress(raw)) == 4 * 96 * 120
    assert json.loads(client.get("/api/images/0").text)["name"] == "spots_0"
