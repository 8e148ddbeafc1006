"""Make the pictures of the pages from drawn images: python docs/make_pictures.py FOLDER, for images and runs."""

import os
import runpy
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageDraw
import torch
from numpy.typing import NDArray

import biounet
from biounet.core.random import generator
from biounet.data.augment.spatial import draw_elastic, warp
from biounet.data.synthetic import draw_cells, draw_varied_cells
from biounet.data.weight_maps import border_weights
from biounet.io import read
from biounet.measurement.overlay import draw_objects

Picture = NDArray[np.uint8]
PICTURES = Path(__file__).with_name("pictures")
DRAW = Path(__file__).parents[1] / "examples" / "draw_images.py"
COLOURS = np.array(
    [(0, 0, 0), (86, 180, 233), (230, 159, 0), (0, 158, 115), (240, 228, 66), (213, 94, 0), (204, 121, 167)]
)
"""Colours that people who confuse red and green can tell apart (Okabe and Ito 2008)."""
GAP = 8
NETWORK = {"model.width": 8, "model.depth": 3, "train.patch": 128, "train.reports": 2}
RUNS = {
    "nuclei": ({**NETWORK, "train.target": "distance"}, 80),
    "tissue": ({**NETWORK, "train.target": "classes", "train.class_names": ("background", "nucleus", "fibre")}, 60),
    "membranes": ({**NETWORK, "train.target": "distance"}, 80),
}
"""Images, settings and steps of the runs whose results are shown; a minute or so of two cores each."""


def grey(image: np.ndarray) -> Picture:
    """An image from its darkest to its brightest percentile, as grey."""
    low, high = np.percentile(image, (0.5, 99.8))
    scaled = np.clip((image - low) / max(high - low, 1e-6) * 255, 0, 255).astype(np.uint8)
    return np.repeat(scaled[..., None], 3, axis=-1)


def coloured(labels: np.ndarray) -> Picture:
    """Labels in colours; background is black."""
    return np.where(labels[..., None] > 0, COLOURS[1 + (labels - 1) % 6], 0).astype(np.uint8)


def blended(image: np.ndarray, classes: np.ndarray) -> Picture:
    """An image with its classes in colours over it."""
    ground = grey(image)
    return np.where(classes[..., None] > 0, ground // 2 + coloured(classes) // 2, ground).astype(np.uint8)


def save(name: str, *panels: Picture, side: int = 256) -> None:
    """Write panels beside each other, each `side` pixels high."""
    scaled = [
        np.asarray(PIL.Image.fromarray(panel).resize((round(side * panel.shape[1] / panel.shape[0]), side)))
        for panel in panels
    ]
    gap = np.full((side, GAP, 3), 255, np.uint8)
    row = [part for panel in scaled for part in (gap, panel)][1:]
    PICTURES.mkdir(exist_ok=True)
    PIL.Image.fromarray(np.concatenate(row, axis=1)).save(PICTURES / f"{name}.webp", quality=80, method=6)


def model_of(name: str) -> biounet.Model:
    """The network of a run, which is trained if it is not there."""
    settings, steps = RUNS[name]
    run = Path(f"{name}-run")
    return biounet.load_model(run) if run.exists() else biounet.train(name, run, steps=steps, settings=settings)


def show_nuclei() -> None:
    """An image, the nuclei that were found in it, and their labels."""
    image = read("nuclei-new/image_15.tif").array
    labels = model_of("nuclei").segment(image)
    save("nuclei", grey(image), draw_objects(image, labels, numbers=False), coloured(labels))


def show_cells() -> None:
    """Drawn cells of four looks that the shipped model did not learn, and what it finds."""
    model = biounet.load_model("cells")
    images = [draw_varied_cells(generator(0, 0, number, stream="cells"))[0] for number in range(400, 404)]
    save("cells", *(draw_objects(image, model.segment(image), numbers=False) for image in images))


def show_classes() -> None:
    """An image, the classes that were found in it, and the true ones."""
    image, truth = (read(f"tissue-{kind}/image_15.tif").array for kind in ("new", "truth"))
    save("classes", grey(image), blended(image, model_of("tissue").segment(image)), blended(image, truth))


def show_membranes() -> None:
    """A section, the probability of membrane, and cells."""
    image = read("membranes-new/image_15.tif").array
    model = model_of("membranes")
    save("membranes", grey(image), grey(model.predict(image)[0]), coloured(model.segment(image)))


def show_stack() -> None:
    """A section of an annotated stack, a cut along Z with outlines, and the labels of the section."""
    stack, labels = (read(f"stack/{kind}/image_00.tif").array for kind in ("images", "labels"))
    across = [np.repeat(each[:, 64], 2, axis=0) for each in (stack, labels)]  # sections are twice as far as pixels
    save("stack", grey(stack[16]), draw_objects(*across, numbers=False), coloured(labels[16]))


def show_methods() -> None:
    """Pictures of border weights, elastic deformation and mirrored tiles."""
    image, labels = draw_cells(np.random.default_rng(5), size=(128, 128), cells=12)
    save("border-weights", grey(image), coloured(labels), grey(border_weights(labels)))
    field = draw_elastic(np.random.default_rng(1), size=image.shape, grid=3, sigma=10.0)
    lined = image.copy()
    lined[::16], lined[:, ::16] = 255, 255
    bent = warp(torch.from_numpy(lined)[None].float(), field, order=1, outside="mirror")[0].numpy()
    save("elastic", grey(lined), grey(bent))
    margin = 48
    canvas = PIL.Image.fromarray(grey(np.pad(image, margin, mode="reflect")))
    pen = PIL.ImageDraw.Draw(canvas)
    pen.rectangle((margin, margin, margin + 128, margin + 128), outline=(255, 255, 255), width=1)
    for corner, colour in (((margin, margin), (230, 159, 0)), ((margin + 64, margin), (86, 180, 233))):
        inner = (*corner, corner[0] + 64, corner[1] + 64)
        pen.rectangle(inner, outline=colour, width=2)
        pen.rectangle((inner[0] - 40, inner[1] - 40, inner[2] + 40, inner[3] + 40), outline=colour, width=1)
    save("tiles", np.asarray(canvas), side=336)


if __name__ == "__main__":
    work = Path(sys.argv[1])
    work.mkdir(parents=True, exist_ok=True)
    os.chdir(work)
    if not Path("nuclei").exists():
        runpy.run_path(str(DRAW), run_name="__main__")
    for show in (show_methods, show_nuclei, show_cells, show_classes, show_membranes, show_stack):
        show()
