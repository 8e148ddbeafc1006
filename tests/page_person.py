"""Somebody at the page of `biounet serve`, in a browser."""

import os
import time
from pathlib import Path

__all__ = ["PICTURES", "Person"]


PICTURES = os.environ.get("BIOUNET_PICTURES")
"""Folder for pictures of the states of the page, for the tutorial; None: none are made."""


class Person:
    """Somebody at the page: looks, draws and types."""

    def __init__(self, browser, address):
        self.page = browser.new_page(viewport={"width": 1280, "height": 800}, accept_downloads=True)
        self.faults = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", lambda line: self.faults.append(line.text) if line.type == "error" else None)
        self.address = address
        self.page.goto(address)
        self.wait("Boolean(window.biounet?.page.image && !window.biounet.viewer.busy)")

    def wait(self, condition, *, seconds=90.0):
        """Wait for a condition; the page itself may evaluate no text."""
        end = time.monotonic() + seconds
        while not self.page.evaluate(condition):
            assert time.monotonic() < end, f"waited {seconds} s for {condition}"
            self.page.wait_for_timeout(50)

    def move(self, y, x, *, steps=1):
        """Move the mouse to a point of the image."""
        box = self.page.locator("#canvas").bounding_box()
        down, right = self.page.evaluate(f"window.biounet.viewer.toScreen([{y}, {x}])")
        self.page.mouse.move(box["x"] + right, box["y"] + down, steps=steps)

    def draw(self, *points):
        """Press at the first point (y, x) of the image, move over the others, and let go."""
        version = self.version
        self.move(*points[0])
        self.page.mouse.down()
        for point in points[1:]:
            self.move(*point, steps=4)
        self.page.mouse.up()
        self.wait(f"window.biounet.page.image.version > {version} && !window.biounet.viewer.busy")

    def press(self, key):
        """Press a key that edits."""
        version = self.version
        self.page.keyboard.press(key)
        self.wait(f"window.biounet.page.image.version > {version} && !window.biounet.viewer.busy")

    def told(self, words, *, where="#toast", seconds=90.0):
        """Wait for words at a place of the page; return all that stands there."""
        self.wait(f"document.querySelector('{where}').textContent.includes('{words}')", seconds=seconds)
        return self.page.locator(where).text_content()

    @property
    def version(self):
        return self.page.evaluate("window.biounet.page.image.version")

    def label(self, y, x):
        """Return the label that the page shows at a pixel."""
        return self.page.evaluate(f"window.biounet.viewer.tiles.at('labels', [0, 0], {y}, {x})")

    def canvas(self):
        """Return what is on the canvas, in bytes."""
        return self.page.locator("#canvas").screenshot()

    def picture(self, name):
        """Keep a picture for the tutorial, if somebody wants one."""
        if PICTURES:
            self.page.mouse.move(640, 500)
            self.page.wait_for_timeout(300)
            self.page.screenshot(path=Path(PICTURES) / f"{name}.png")
