"""Time from the first stroke to the first overlay in the page of `biounet serve`, and between overlays after that.

Usage: python benchmarks/serve_overlay.py [DATASET] [--seconds 90]

A server is started as by a person, on one image of 512 x 512 pixels, and is told through the address of the page what
she looks at; one object is outlined, and some background is painted beside it. Seconds on the clock, and processor
seconds of the process that learns, which other work on the machine disturbs less. One JSON line.
"""

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from biounet.data import find_dataset
from biounet.io import Image, write
from serve import corners, near_side

SIDE = 512
TOKEN = "the-token-of-the-benchmark"


def processor_seconds(server: int) -> float:
    """Processor seconds of the process that learns, the child of the server."""
    (child,) = Path(f"/proc/{server}/task/{server}/children").read_text().split() or ("self",)
    fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Page:
    """What a page asks of the server at an address.

    Parameters
    ----------
    address : http://HOST:PORT
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._version = 0

    def ask(self, path: str, body: dict | None = None) -> bytes:
        """Send a request, and return the answer."""
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json", "Origin": self._address}
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{self._address}/api/{path}", data, headers)) as answer:
            return answer.read()

    def edit(self, **edit: object) -> None:
        """Draw something in the first image."""
        answer = json.loads(self.ask("images/0/edits", {**edit, "version": self._version}))
        self._version = answer["version"]

    def events(self) -> Iterator[dict]:
        """What the server says, as it comes."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with urllib.request.urlopen(urllib.request.Request(f"{self._address}/api/events", None, headers)) as stream:
            for line in stream:
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])

    def predicted_objects(self) -> int:
        """Number of the objects in the prediction of the image."""
        tiles = [self.ask(f"images/0/predicted/0/0/0/{row}/{column}") for row in (0, 1) for column in (0, 1)]
        pixels = SIDE * SIDE // len(tiles)
        labels = [np.frombuffer(gzip.decompress(tile), "<i4", pixels) for tile in tiles]
        return len(np.unique(np.maximum(labels, 0))) - 1


def follow(page: Page, server: int, truth: np.ndarray, seconds: float) -> dict[str, object]:
    """Draw an object and background, then listen."""
    events = page.events()
    page.ask("look", {"image": 0, "plane": [0, 0], "box": [0, 0, SIDE, SIDE]})
    while json.loads(page.ask("project"))["training"]["state"] == "starting":
        time.sleep(0.2)
    mask = truth == np.unique(truth[truth > 0])[0]
    page.edit(kind="outline", points=corners(mask))
    page.edit(kind="paint", label=0, radius=2, points=near_side(mask, truth > 0))
    began, used, overlays = time.monotonic(), processor_seconds(server), []
    for event in events:
        if event["event"] != "prediction":
            continue
        overlays.append(
            {
                "seconds": round(time.monotonic() - began, 1),
                "processor_seconds": round(processor_seconds(server) - used, 1),
                "updates": event["step"],
                "objects": page.predicted_objects(),
            }
        )
        if time.monotonic() - began > seconds:
            return {"first": overlays[0], "longest_pause": longest(overlays), "overlays": overlays}
    raise ConnectionError("the server has ended")


def longest(overlays: list[dict]) -> dict[str, float]:
    """Longest time between two overlays, on the clock and in processor seconds."""
    names = ("seconds", "processor_seconds")
    return {name: round(float(np.max(np.diff([each[name] for each in overlays]))), 1) for name in names}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = Path(os.environ.get("BIOUNET_DATA", "../shared/data"))
    parser.add_argument("dataset", type=Path, nargs="?", default=data / "DIC-C2DH-HeLa")
    parser.add_argument("--seconds", type=float, default=90)
    given = parser.parse_args()
    dataset = find_dataset(given.dataset)
    image, truth = dataset.load(dataset.pairs[0])
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "images" / "cells.tif", Image(image[0, :SIDE, :SIDE], "YX"))
        command = [sys.executable, "-m", "biounet", "serve", folder, "--port", "0", "--token", TOKEN]
        server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            address = next(line.split()[1].partition("/#")[0] for line in server.stderr if line.startswith("open "))
            found = follow(Page(address), server.pid, truth[:SIDE, :SIDE], given.seconds)
        finally:
            server.terminate()
            server.wait()
    print(json.dumps({"benchmark": "serve_overlay", "dataset": given.dataset.name, **found}))


if __name__ == "__main__":
    main()
