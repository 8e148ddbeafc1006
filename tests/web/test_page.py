"""The page in a browser: a story from the first stroke to a finished model, on real images where there are some."""

import json
import os
import shutil
import urllib.request
import zipfile
from pathlib import Path

import numpy as np
import pytest

from biounet.core.boxes import Box
from biounet.core.random import generator
from biounet.data.synthetic import draw_cells
from biounet.io import Image, read, write
from biounet.models.model_file import read_card
from biounet.workspace import Project
from page_person import PICTURES, Person
from servers import serving

REAL = ("0280fa8f60f6", "06350c7cc618", "0a7d30b25235")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("cells")
    data = os.environ.get("BIOUNET_DATA")
    if data is None:
        for number in range(3):
            rng = generator(0, 0, number, stream="page")
            image, _ = draw_cells(rng, size=(256, 320), cells=22, diameter=34)
            write(made / "images" / f"cells_{number}.png", Image(image, "YX"))
        return made
    (made / "images").mkdir()
    for name in REAL:
        shutil.copy(Path(data) / "dsb2018" / "images" / f"{name}.png", made / "images")
    return made


@pytest.fixture(scope="module")
def address(folder, chromium):
    with serving(folder) as (found, _):
        yield found


def asked(address, path):
    """Ask the server as the page does."""
    base, _, token = address.partition("/#")
    request = urllib.request.Request(f"{base}/api/{path}", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def test_from_the_first_stroke_to_a_finished_model(folder, address, chromium, tmp_path):
    person = Person(chromium, address)
    page = person.page
    person.picture("open")
    assert page.locator("#images button").count() == 3
    assert page.locator("#state").text_content() in ("starting", "waiting")
    image = read(Project(folder).images[0].planes.path)
    plane = image.array if image.array.ndim == 2 else image.array[0]
    cells = bright_places(plane)

    page.keyboard.press("b")
    for y, x in cells[:2]:
        person.draw((y, x), (y, x + 3))
    page.keyboard.press("g")
    for y, x in dark_places(plane)[:3]:
        person.draw((y, x), (y, x + 6))
    (one, two), none = cells[:2], dark_places(plane)[0]
    assert [person.label(*one), person.label(*two), person.label(*none)] == [1, 2, 0]
    if PICTURES:
        draw_more(person, plane)
    person.picture("painted")

    person.wait("Number(document.body.dataset.step) > 0 && !window.biounet.viewer.busy")
    before = person.canvas(), page.evaluate("Number(document.body.dataset.step)")
    person.wait(f"Number(document.body.dataset.step) > {before[1]} && !window.biounet.viewer.busy")
    page.wait_for_timeout(200)
    assert person.canvas() != before[0]
    if PICTURES:
        person.wait("Number(document.body.dataset.step) > 260", seconds=400)
    person.picture("predicted")

    page.keyboard.press("m")
    person.draw(one, two)
    assert person.label(*one) == person.label(*two) == 1
    person.press("Control+z")
    assert [person.label(*one), person.label(*two)] == [1, 2]
    person.press("Control+y")
    assert person.label(*two) == 1
    page.keyboard.press("e")
    person.draw(two)
    assert person.label(*two) == -1
    person.picture("corrected")

    if PICTURES:  # a network that learns for some seconds only predicts nothing that is worth to be accepted
        person.press("a")
    accepted = person.label(*two)
    person.press("Shift+f")
    assert person.label(*two) == max(accepted, 0)
    assert "finished" in page.locator("#images button").first.text_content()
    page.reload()
    person.wait("Boolean(window.biounet?.page.image && !window.biounet.viewer.busy)")
    assert person.label(*one) == 1
    assert "finished" in page.locator("#images button").first.text_content()
    person.picture("finished")

    page.click("#finish")
    page.fill("#minutes", "0.05")
    person.picture("ask")
    page.click("#begin")
    person.wait("/is finished|not come/.test(document.querySelector('#run').textContent)", seconds=150)
    person.picture("model")
    assert "run-1 is finished" in page.locator("#run").text_content()
    taken = {}
    for what in ("labels", "tables", "model", "report"):
        with page.expect_download(timeout=120_000) as download:
            page.click(f"#take-{what}")
        taken[what] = tmp_path / what
        download.value.save_as(taken[what])
    check_files(folder, address, taken)
    assert person.faults == []
    page.close()


def check_files(folder, address, taken):
    """Compare what was downloaded with what lies in the folder, and with what the server says."""
    card = read_card(folder / "run-1")
    assert card.target == "distance"
    assert taken["model"].read_bytes() == (folder / "run-1" / "model.safetensors").read_bytes()
    assert taken["report"].read_bytes() == (folder / "run-1" / "report.html").read_bytes()
    assert {"config.toml", "log.csv", "last"} <= {path.name for path in (folder / "run-1").iterdir()}
    name = Project(folder).images[0].name
    with zipfile.ZipFile(taken["labels"]) as packed:
        assert packed.namelist() == [f"labels/{name}.tif"]
        assert packed.read(packed.namelist()[0]) == (folder / "labels" / f"{name}.tif").read_bytes()
    with zipfile.ZipFile(taken["tables"]) as packed:
        objects = packed.read("objects.csv").decode().splitlines()
    store = Project(folder).images[0].store
    labels = store.plane((0, 0)).read(Box((0, 0), store.file.size))
    assert (labels == read(folder / "labels" / f"{name}.tif", labels=True).array).all()
    assert len(objects) - 1 == len(np.unique(labels[labels > 0]))
    told = asked(address, "images/0")
    assert told["version"] == store.version
    assert told["finished"] == [[0, 0, 0, 0, *store.file.size]]


def test_two_pages_do_not_overwrite_each_other(folder, address, chromium):
    here, there = Person(chromium, address), Person(chromium, address)
    for person in (here, there):
        person.page.locator("#images button").nth(1).click()
        person.wait("window.biounet.page.image.image === 1 && !window.biounet.viewer.busy")
        person.page.keyboard.press("b")
    here.draw((30, 30), (30, 40))
    there.wait("window.biounet.page.image.version === 1 && !window.biounet.viewer.busy")
    assert there.label(30, 35) == 1
    there.draw((60, 60), (60, 70))
    here.wait("window.biounet.page.image.version === 2 && !window.biounet.viewer.busy")
    assert [here.label(30, 35), here.label(60, 65)] == [1, 2]
    # one that has missed what the other did is told, and shows it
    there.page.evaluate("window.biounet.page.image.version = 1")
    there.page.keyboard.press("g")
    box = there.page.locator("#canvas").bounding_box()
    there.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    there.told("changed elsewhere")
    there.wait("window.biounet.page.image.version === 2")
    for person in (here, there):
        person.page.close()


def test_keys_do_what_the_help_says_and_a_name_is_text(folder, address, chromium):
    person = Person(chromium, address)
    page = person.page
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    page.keyboard.press("Escape")
    page.locator("#images button").nth(2).click()
    person.wait("window.biounet.page.image.image === 2 && !window.biounet.viewer.busy")
    page.keyboard.press("b")
    page.locator("#canvas").focus()
    page.keyboard.press("Enter")
    for _ in range(3):
        page.keyboard.press("Alt+ArrowRight")
    person.press("Enter")
    assert person.version == 1
    for key, tool in (("o", "Outline"), ("e", "Eraser"), ("x", "Wrong")):
        page.keyboard.press(key)
        assert page.locator("#tools [aria-pressed=true]").get_attribute("aria-label") == tool
    page.evaluate("window.biounet.page.project.images[0].name = '<img src=x onerror=alert(1)>'")
    page.keyboard.press("k")
    person.wait("window.biounet.page.image.image === 1")
    assert page.locator("#images button").first.text_content().startswith("<img src=x")
    assert page.locator("#images img").count() == 0
    page.close()


def draw_more(person, plane):
    """Outline some more cells and background, as somebody does who wants a network that is worth a picture."""
    light = plane > (np.percentile(plane, 1) + np.percentile(plane, 99.5)) / 2.6
    person.page.keyboard.press("b")
    for _ in range(4):
        person.page.keyboard.press("]")
    for y, x in bright_places(plane, count=9)[2:]:
        if light[y - 10 : y + 10, x - 10 : x + 10].mean() > 0.8:
            person.draw((y, x), (y, x + 2))
    person.page.keyboard.press("g")
    for y, x in dark_places(plane, count=6)[3:]:
        person.draw((y, x), (y, x + 4))


def bright_places(plane, *, count=4):
    """Middles of some bright spots that lie apart from each other and from the edges."""
    from scipy.ndimage import distance_transform_edt

    light = plane > (np.percentile(plane, 1) + np.percentile(plane, 99.5)) / 2
    depth = distance_transform_edt(light)
    depth[:20], depth[-20:], depth[:, :20], depth[:, -20:] = 0, 0, 0, 0
    found = []
    while len(found) < count:
        y, x = np.unravel_index(depth.argmax(), depth.shape)
        found.append((int(y), int(x)))
        depth[max(0, y - 25) : y + 25, max(0, x - 25) : x + 25] = 0
    return found


def dark_places(plane, *, count=3):
    """Places far from all that is bright."""
    from scipy.ndimage import distance_transform_edt

    depth = distance_transform_edt(plane < (np.percentile(plane, 1) + np.percentile(plane, 99.5)) / 2.5)
    depth[:20], depth[-20:], depth[:, :20], depth[:, -20:] = 0, 0, 0, 0
    found = []
    while len(found) < count:
        y, x = np.unravel_index(depth.argmax(), depth.shape)
        found.append((int(y), int(x)))
        depth[max(0, y - 30) : y + 30, max(0, x - 30) : x + 30] = 0
    return found


def test_classes_are_named_and_chosen_and_an_image_that_is_torn_is_told(tmp_path, chromium):
    image, _ = draw_cells(generator(0, 0, 8, stream="page"), size=(128, 128), cells=5, diameter=30)
    write(tmp_path / "cells.png", Image(image, "YX"))
    (tmp_path / "torn.png").write_bytes((tmp_path / "cells.png").read_bytes()[:900])
    with serving(tmp_path) as (address, _):
        person = Person(chromium, address)
        page = person.page
        page.locator("#images button").nth(1).click()
        person.told("torn.png")
        assert page.locator("#images .detail").all_text_contents() == ["not begun", "cannot be read"]
        page.click("#meaning")
        page.fill("#ask .names input", "background, nucleus, fibre")
        page.click("#ask .main")
        person.wait("document.querySelectorAll('#tools .class').length === 2")
        page.keyboard.press("2")
        assert page.locator("#tools .class[aria-pressed=true]").all_text_contents() == ["fibre"]
        page.keyboard.press("b")
        person.draw((40, 40), (40, 60))
        assert person.label(40, 50) == 2
        assert page.locator("#where").text_content().endswith("fibre")
        page.close()
