"""What goes wrong while somebody draws: nothing that was painted is lost, and the page says what happened."""

import errno
import os
import socket
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from biounet.core.random import generator
from biounet.data.synthetic import draw_cells
from biounet.io import Image, read, write
from biounet.workspace import Project
from page_person import Person
from servers import TOKEN, serving, serving_here
from small_projects import everything

pytest.importorskip("uvicorn", reason="the page needs the extra web")


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "Größe & Zahl"
    for number in range(2):
        image, _ = draw_cells(generator(0, 0, 9 + number, stream="page"), size=(128, 128), cells=5, diameter=30)
        write(made / "images" / f"cells_{number}.png", Image(image, "YX"))
    return made


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def learner_of(server):
    """Find the process that learns for a server."""
    (learner,) = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    return learner


def ends(process, *, seconds=30):
    """Whether a process comes to its end in time; one that nobody waits for stays as a zombie."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.1)
    return False


def test_a_server_that_is_killed_during_a_stroke_loses_none(folder, port, chromium):
    with serving(folder, port=port) as (address, server):
        person = Person(chromium, address)
        person.page.keyboard.press("b")
        person.draw((30, 30), (30, 40))
        person.move(110, 20)
        person.page.mouse.down()
        person.move(110, 30, steps=4)
        server.kill()
    person.told("not connected", where="#state")
    person.move(110, 40, steps=4)
    person.page.mouse.up()
    assert f"biounet serve again with\n--port={port} --token={TOKEN}\n" in person.told(
        "Your last change is not saved yet"
    )
    person.picture("fault-stroke")
    with serving(folder, port=port, token="of-another-start"):  # as it is drawn where none is given
        person.told("The server has another token now")
        person.picture("fault-token")
    with serving(folder, port=port):
        person.wait("document.querySelector('#state').textContent !== 'not connected'")
        person.wait("window.biounet.page.image.version === 2 && !window.biounet.viewer.busy")
        assert [person.label(30, 35), *(person.label(110, x) for x in (20, 30, 40))] == [1, 2, 2, 2]
        with person.page.expect_download(timeout=60_000) as download:
            person.page.click("#take-labels")
        assert download.value.suggested_filename == "Größe & Zahl-labels.zip"
        person.draw((80, 80), (80, 90))
        assert [person.label(30, 35), person.label(80, 85)] == [1, 3]
        for _ in range(3):
            person.press("Control+z")
        assert [person.label(30, 35), person.label(80, 85)] == [-1, -1]
        person.page.close()


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked for below /proc")
def test_a_server_that_is_killed_while_it_trains_says_what_became_of_the_run(folder, port, chromium):
    with serving(folder, port=port) as (address, server):
        person = Person(chromium, address)
        page = person.page
        page.keyboard.press("b")
        person.draw((30, 30), (30, 40))
        page.keyboard.press("g")
        person.draw((110, 20), (110, 60))
        person.told("learning", where="#state")
        learner = learner_of(server)
        server.kill()
    assert ends(learner)
    with serving(folder, port=port) as (_, server):
        person.told("learning", where="#state")
        assert [person.label(30, 35), person.label(110, 40)] == [1, 0]
        page.click("#finish")
        page.fill("#minutes", "60")
        page.click("#begin")
        person.told("step", where="#run")
        learner = learner_of(server)
        server.kill()
    person.told("not connected", where="#state")
    person.picture("fault-run-away")
    assert ends(learner)
    with serving(folder, port=port):
        said = person.told("run-1 did not come to its end", where="#run")
        assert "biounet serve ended meanwhile" in said
        person.picture("fault-run")
        assert [person.label(30, 35), person.label(110, 40)] == [1, 0]
        assert "biounet serve ended" in (folder / "run-1" / "report.html").read_text()
        page.click("#finish")
        page.fill("#minutes", "0.05")
        page.click("#begin")
        person.told("run-2 is finished", where="#run", seconds=150)
        page.close()


@pytest.fixture
def person(folder, chromium):
    """Open a folder that a thread of this process serves."""
    with serving_here(folder) as address:
        found = Person(chromium, address)
        found.page.keyboard.press("b")
        yield found
        found.page.close()


def store_of(folder, number=0):
    return Project(folder).images[number].store


def test_a_stroke_that_finds_the_disk_full_is_saved_once_there_is_room(folder, person, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    person.draw((30, 30), (30, 40))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        person.move(60, 90)
        person.page.mouse.down()
        person.move(60, 110, steps=4)
        person.page.mouse.up()
        assert "the disk is full; free some room" in person.told("Your last change is not saved yet")
        person.picture("fault-disk")
        person.page.set_viewport_size({"width": 390, "height": 800})
        person.picture("fault-disk-390")
        person.page.set_viewport_size({"width": 1280, "height": 800})
        assert (person.version, person.label(60, 100), store_of(folder).version) == (1, -1, 1)
    person.told("All that you drew is saved")
    person.wait("window.biounet.page.image.version === 2 && !window.biounet.viewer.busy")
    person.draw((80, 80), (80, 90))
    assert [person.label(*place) for place in ((30, 35), (60, 100), (80, 85))] == [1, 2, 3]
    labels = everything(store_of(folder))
    assert [labels[place] for place in ((30, 35), (60, 100), (80, 85))] == [1, 2, 3]


def test_a_clock_that_is_set_back_changes_nothing(folder, person, monkeypatch):
    person.draw((30, 30), (30, 40))
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() - 3600)
    file = folder / "labels" / "cells_0.tif"
    wait_for(file.exists)
    os.utime(file, (time.time(), time.time()))
    person.draw((110, 20), (110, 40))
    person.press("Control+z")
    person.press("Control+y")
    wait_for(lambda: read(file, labels=True).array[110, 30] == 2)
    assert person.version == 4  # no edit was taken for one of another program
    rows = [
        f"{seconds},cells_0,paint,9,100,{share},,"
        for seconds, share in ((7200, 0.5), (7210, 0.6), (3620, 0.7), (3650, 0.8))
    ]
    (folder / ".biounet" / "scores.csv").write_text("\n".join(["seconds,image,kind,step,pixels,right,dice,ap", *rows]))
    person.page.reload()
    assert person.told("first", where="#curve").count("40 s") == 1
    places = person.page.locator("#curve circle").evaluate_all(
        "found => found.map((each) => Number(each.getAttribute('cx')))"
    )
    assert places == sorted(places)


def test_what_another_program_does_to_the_folder_is_told(folder, person):
    person.draw((30, 30), (30, 40))
    file = folder / "labels" / "cells_0.tif"
    wait_for(file.exists)
    theirs = np.zeros((128, 128), np.uint8)
    theirs[80:90, 80:90] = 7
    write(file, Image(theirs, "YX"), overwrite=True)
    said = person.told("changed by another program")
    assert said == "cells_0.tif was changed by another program; its labels are shown, undo brings back yours"
    person.picture("fault-label-file")
    person.wait("window.biounet.page.image.version === 2 && !window.biounet.viewer.busy")
    assert [person.label(85, 85), person.label(30, 35)] == [7, 0]
    person.press("Control+z")
    assert [person.label(85, 85), person.label(30, 35)] == [-1, 1]
    (folder / "images" / "cells_1.png").unlink()
    person.page.locator("#images button").nth(1).click()
    assert person.told("cells_1.png is gone") == "cells_1.png is gone; put it back, or start biounet serve again"
    assert person.page.locator("#images .detail").all_text_contents() == ["begun", "cannot be read"]
    person.picture("fault-image")
    (folder / "images" / "cells_0.png").unlink()
    assert person.told("cells_0.png is gone").endswith("What you drew in it is kept.")
    person.picture("fault-image-shown")
    person.draw((110, 20), (110, 40))  # below the words
    assert [person.label(110, 30), person.label(30, 35)] == [2, 1]


def wait_for(condition, *, seconds=30):
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)
