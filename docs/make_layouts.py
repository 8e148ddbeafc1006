"""Write docs/layouts.md: what is done with a small dataset of every layout. Run it after a change of the table."""

import sys
import tempfile
from pathlib import Path

from biounet.core.errors import BiounetError
from biounet.data import LAYOUTS, Dataset, find_dataset, images_in
from biounet.data.layout import Layout
from biounet.data.results import name_outputs
from biounet.evaluation import evaluate

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from small_layouts import MAKERS, results_of

PAGE = Path(__file__).with_name("layouts.md")
HEAD = """# Layouts of datasets

`biounet check DATASET` says which layout it has recognised, and by what; where nothing fits, what it saw instead. The
first layout that fits is taken, in the order of the table. Names of folders and files may be in upper or lower case.

| layout | recognised by | train | predict | evaluate | written back as |
| --- | --- | --- | --- | --- | --- |
"""
TAIL = """
* **train**: images that are learnt from, of those in a small dataset of the layout, and what the numbers of its
  labels were taken for.
* **predict**: images that `biounet predict MODEL DATASET` takes.
* **evaluate**: `OK` where results that are equal to the truth get full marks by `biounet evaluate RESULTS DATASET`
  (of two files or folders: the labels), under the names that prediction gives them.
* **written back as**: these names. `????` stands for the number of a channel.

## Names

Labels have the name of their image, with another suffix or with a word at the end or begin (`_mask`, `_masks`,
`_label`, `_labels`, `_seg`, `_segmentation`, `_gt`, `_truth`, `_annotation`, `_manual`, `_cp_masks`, ...), or both
have words that all files of their folder share (`21_training.tif`, `21_manual1.gif`). Accents may be composed or not.
Two folders of any names are a dataset, too:

```
biounet check --images RAW --labels ANNOTATIONS
biounet train --images RAW --labels ANNOTATIONS --out RUN
```

From Python, `biounet.train(None, "run", images="RAW", labels="ANNOTATIONS")`. What has no partner is named, each file
in a line of its own, with files of other sizes, empty ones, and pixels that are no numbers; then `check` and `train`
end with status 2. Files that are no images here are counted and named.

Images in `CASE/images` that share one name are predicted together: results have the names of the cases.

## What the numbers of labels mean

The layout says it, or `--objects` (each number is one object), or `--classes A,B,..` (each number is a class; names
of all classes, or of all but the background, or how many there are; the names are kept in the model file). Else the
labels do, and a note says what they were taken for, see [training](training.md#objects-that-touch). `check` and
`train` ask, with status 2, where nobody can know:

* twelve classes or more, background included, unless the layout or an option says so;
* 255 beside a few small numbers, which many programs write where the class is not known: `--ignore-value 255`;
* grey values that are found at edges only, as in a mask that was resized, smoothed or compressed with loss;
* folders of cases with a single mask that has several pieces, but no numbers.

`--ignore-value N` of `check`, `train`, `evaluate` and `measure` takes N for unknown: such pixels are neither learnt,
scored nor measured. `--ignore-value 0` is for scribbles, where 0 is unlabelled. Negative numbers always mean unknown.
Labels without any 0, as ilastik writes them (1, 2, ...), are read as they are, and a note says that there is no
background.

JPEG changes numbers: `.jpg` labels and TIFF labels compressed as JPEG are refused. PNG labels of 1, 2 and 4 bits have
the numbers that are stored.

## nnU-Net

`imagesTr/CASE_0000.png`, `CASE_0001.png`, ... are the channels of one image. `dataset.json`, if it is there, names
the classes, and the label `ignore` is unknown. Regions (lists of numbers) are not learnt as such: each number is a
class, and a note says so. Of a TIFF, `CASE.json` has the spacing in the order of the array (z, y, x), as the code of
nnU-Net takes it; its documentation writes x, y, z. The numbers are taken for micrometres. `biounet predict MODEL
imagesTs` (or the whole dataset) writes labels as `CASE` with the suffix of the images, where that format holds
labels, as nnU-Net's own evaluation wants them; a single case is `imagesTs/CASE_????.png`, in quotes.

## StarDist and other test sets

`train/` is learnt from, also where `val/` or `test/` lie beside it; a note names them. `--validation DATASET/test`
validates on one.

This page is written by `docs/make_layouts.py`.
"""


def page() -> str:
    """Return the text of the page."""
    return HEAD + "".join(f"| {' | '.join(row(layout))} |\n" for layout in LAYOUTS.values()) + TAIL


def row(layout: Layout) -> list[str]:
    """What the table says of a layout."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "data"
        path = MAKERS[layout.name](folder)
        found = find_dataset(path)
        images = tuple(dict.fromkeys(pair.image for pair in found.pairs))
        everything = images_in(folder) if Path(path) == folder else images
        out = Path(place) / "01_RES"
        names = [target.name for _, target in name_outputs(everything if len(images) > 1 else images, out)]
        learnt = f"{len(found.pairs)} {'sections' if found.pairs[0].section is not None else 'images'}"
        asked = ", ".join(name_in(image, folder) for image in everything[:2])
        return [
            layout.name,
            layout.sign,
            f"{learnt}, {found.pairs[0].kind}",
            asked + ", ..." * (len(everything) > 2),
            compared(found, Path(str(path).split(",")[-1]), out if len(images) > 1 else out / names[0]),
            f"`{names[0]}`",
        ]


def name_in(image: Path, folder: Path) -> str:
    """Name of an image in a dataset."""
    return f"`{image.relative_to(folder).as_posix()}`"


def compared(found: Dataset, truth: Path, out: Path) -> str:
    """Whether evaluation gives full marks to the truth; else what it says."""
    images = found.pairs[0].kind == "images"
    try:
        scores = evaluate(results_of(found, out), truth, metrics=["image"] if images else None).scores
    except BiounetError as error:
        return str(error)
    best = scores["mae"] == 0 if images else scores.get("iou", scores.get("seg")) == 1
    return "OK" if best else f"scores {scores}"


if __name__ == "__main__":
    PAGE.write_text(page())
