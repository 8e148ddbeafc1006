"""What a model to begin with is worth: few images, forgetting, and runs that go on, as rows of a file of results.

python benchmarks/few_images.py [--make PATTERN]... [--minutes 5] [--draws 3] [--seeds 1] [--work FOLDER]

A row is a run that is trained and scored; it has a name such as `hela from=nuclei images=5 draw=0 seed=0 minutes=5`.
--make makes the rows whose name matches a pattern, '*' all of them (about 12 hours of a core), but none that is in
results/few_images.json. Without it the rows that are there are printed as the tables of docs/models.md. Each run has
one thread; minutes are those of two cores, so a run of 5 minutes ends after 10 minutes of processor time, however busy
the machine is.

Images of BBBC038 to learn from are those of dsb2018 (in the folder that BIOUNET_DATA names), fluorescence only; the
scores are of the 33 fluorescence images of dsb2018-more that no model saw, and of the images of dsb2018 that were not
drawn. The shipped `nuclei` learnt from those of dsb2018. So these rows begin with `nuclei-without`, which is trained by
the same recipe on dsb2018-more alone. FOLDER keeps it, and the runs of few images.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
time.monotonic = time.process_time  # before anything takes it: budgets are of processor time
sys.path.append(str(Path(__file__).parents[1] / "scripts"))

import numpy as np  # noqa: E402
import torch  # noqa: E402

import biounet  # noqa: E402
from biounet.config.shipped import SHIPPED  # noqa: E402
from biounet.core.random import generator  # noqa: E402
from biounet.data import find_dataset  # noqa: E402
from biounet.io import Image, read, write  # noqa: E402
from make_models import (  # noqa: E402
    DATA,
    HELA,
    RECIPES,
    gather_nuclei,
    held_out_nuclei,
    labelled_frames,
    masks_of,
    precisions,
    score_frames,
    score_membranes,
)

RESULTS = Path(__file__).parent / "results" / "few_images.json"
CORES = 2
WITHOUT, MINUTES_WITHOUT = "nuclei-without", 12.5
"""A model of nuclei that saw none of the images here, and the minutes that it is trained."""
DARK = 60
"""Mean grey value below which an image of one channel is fluorescence."""
FRAMES = 5
"""HeLa frames that may be learnt from: the first ones with labels of experts; the others are scored on."""


def drawn(given, images, draw):
    """Images to learn from; the same draw of more images holds those of fewer."""
    return [given[at] for at in generator(0, 0, draw, stream="few images").permutation(len(given))[:images]]


@cache
def dark():
    """Fluorescence images of dsb2018, 98 of its 120."""
    paths = sorted((DATA / "dsb2018" / "images").iterdir())
    return [path for path in paths if (image := read(path).array).ndim == 2 and image.mean() < DARK]


def fluorescence(images, draw, folder):
    """Copy nuclei to learn from."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for path in drawn(dark(), images, draw):
        shutil.copy(path, folder / "images")
        shutil.copy(masks_of(path), folder / "masks")


def hela(images, draw, folder):
    """Copy frames to learn from, with labels of experts and silver truth for the cells that these lack."""
    for number in drawn(labelled_frames(DATA)[:FRAMES], images, draw):
        for name in (f"01/t{number}.tif", f"01_GT/SEG/man_seg{number}.tif", f"01_ST/SEG/man_seg{number}.tif"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(DATA / HELA / name, folder / name)


def sections(images, draw, folder):
    """Copy sections of ISBI 2012 to learn from, of the first 20."""
    dataset = find_dataset(DATA / "isbi2012")
    for pair in drawn(dataset.pairs[:20], images, draw):
        image, truth = dataset.load(pair)
        for part, array in (("images", image[0]), ("labels", (truth > 0).astype(np.uint8))):
            write(folder / part / f"{pair.name}.png", Image(array, "YX"))


def score_hela(file, *_):
    """SEG on the frames that are never learnt from."""
    return score_frames(DATA, file, first=FRAMES)[0]


def fluorescence_held_out():
    """Fluorescence images of dsb2018-more that are kept for scores, 33 of its 39."""
    return [path for path in held_out_nuclei(DATA) if read(path).array.ndim == 2]


def means(found, of=""):
    """Mean average precision of images, from their values at 0.5, 0.55, ..., 0.9."""
    return {f"AP50{of}": float(np.mean(found, axis=0)[0]), f"AP50-90{of}": float(np.mean(found))}


def of_nuclei(file, *_):
    """Average precision on fluorescence images that were held out."""
    return means(precisions(file, fluorescence_held_out())[0])


def of_all_nuclei(file, images, draw):
    """Average precision on images that were held out, and on those of dsb2018 that were not drawn."""
    found, _, _ = precisions(file, sorted(set(dark()) - set(drawn(dark(), images, draw))))
    return of_nuclei(file) | means(found, " dsb2018")


def of_membranes(file, *_):
    """The five scores of ISBI 2012 on sections 20 to 23."""
    return score_membranes(DATA, file)[0]


def unlabelled(kind, folder):
    """Copy the images of a kind without labels, also those that are learnt from, which a run leaves out."""
    folder.mkdir()
    if kind == "isbi2012":
        dataset = find_dataset(DATA / "isbi2012")
        for pair in dataset.pairs[:20]:
            write(folder / f"{pair.name}.png", Image(dataset.load(pair)[0][0], "YX"))
        return
    scored = set(labelled_frames(DATA)[FRAMES:])
    frames = [f"{number:03}" for number in range(0, 84, 2)]
    of_hela = [DATA / HELA / "01" / f"t{number}.tif" for number in frames if number not in scored]
    for path in of_hela if kind == "hela" else dark():
        shutil.copy(path, folder)


KINDS = {
    "dsb2018": (fluorescence, of_all_nuclei, (1, 2, 5, 10, 20, 95), (WITHOUT,), {}),
    "hela": (hela, score_hela, (1, 2, 5), ("nuclei", "cells"), {}),
    "isbi2012": (sections, of_membranes, (1, 2, 5), ("membranes",), {"train.target": "classes"}),
}
"""Images to learn from, scores, how many images, models to begin with, settings."""


def train(gather, run, minutes, *, start=None, seed=0, settings=None):
    """Train on images that `gather` puts into a folder; the time that was taken, and the update that was kept."""
    began = time.process_time()
    with tempfile.TemporaryDirectory() as place:
        gather(Path(place) / "data")
        further = {"settings": {"train.seed": seed, **(settings or {})}, "report": False}
        model = biounet.train(Path(place) / "data", run, minutes=CORES * minutes, init=start, **further)
    seconds = round(time.process_time() - began)
    return {"processor_seconds": seconds, "update": model.card.training["step"], "width": model.card.model.width}


def model(name, work):
    """A model to begin with: a shipped one by its name, or the file of `nuclei-without`, which is trained once."""
    if name != WITHOUT:
        return name
    run = work / WITHOUT
    if not (run / "done").exists():
        shutil.rmtree(run, ignore_errors=True)
        settings = RECIPES["nuclei"].settings
        train(lambda folder: gather_nuclei(DATA, folder, sets="dsb2018-more"), run, MINUTES_WITHOUT, settings=settings)
        (run / "done").touch()
    return run / "model.safetensors"


def few(kind, images, start, draw, seed, minutes, more, work):
    """A row of few images, with or without those that have no labels; or of none: the model to begin with as it is."""
    gather, score, _, _, settings = KINDS[kind]
    if not images:
        return score(model(start, work), images, draw)
    run, place = work / f"{kind}-{start}-{images}-{draw}-{seed}-{more}", work / f"unlabelled-{kind}"
    if more:
        shutil.rmtree(place, ignore_errors=True)
        unlabelled(kind, place)
        settings = {**settings, "train.unlabelled": str(place)}
    shutil.rmtree(run, ignore_errors=True)
    options = {"start": start and model(start, work), "seed": seed, "settings": settings}
    facts = train(lambda folder: gather(images, draw, folder), run, minutes, **options)
    return score(run, images, draw) | facts


def forgetting(also, seed, minutes, _):
    """The shipped `nuclei` trained on HeLa frames: what it still knows of nuclei, with and without old images."""
    with tempfile.TemporaryDirectory() as place:
        old, run = Path(place) / "old", Path(place) / "run"
        gather_nuclei(DATA, old)
        settings = {"train.also": str(old)} if also else {}
        facts = train(
            lambda folder: hela(FRAMES, 0, folder), run, minutes, start="nuclei", seed=seed, settings=settings
        )
        return of_nuclei(run) | score_hela(run) | facts


def going_on(parts, seed, minutes, _):
    """A run that is made longer once it has ended: scores after each of its parts."""
    found = {}
    with tempfile.TemporaryDirectory() as place:
        data, run = Path(place) / "data", Path(place) / "run"
        fluorescence(95, 0, data)
        for number, share in enumerate(parts):
            settings = {"settings": {"train.seed": seed}} if not number else {}
            biounet.train(data, run, minutes=CORES * minutes * share, report=False, resume=number > 0, **settings)
            found |= {f"{name} after {minutes * share:g}": score for name, score in of_nuclei(run).items()}
    return found


def rows(draws, seeds, minutes):
    """Names of all rows, and what makes them."""
    for kind, (_, _, counts, models, _) in KINDS.items():
        for start in (None, *(name for name in models if name in (*SHIPPED, WITHOUT))):
            if start:
                yield f"{kind} from={start} images=0", few, (kind, 0, start, 0, 0, minutes, False)
            for images in counts:
                for draw in range(draws if images != FRAMES or kind != "hela" else 1):
                    for seed in range(seeds):
                        name = f"{kind} from={start or 'scratch'} images={images} draw={draw} seed={seed}"
                        for more in (False, True):
                            said = f"{name} minutes={minutes:g}{' unlabelled' if more else ''}"
                            yield said, few, (kind, images, start, draw, seed, minutes, more)
    yield "forgetting also=before", lambda _: of_nuclei("nuclei") | score_hela("nuclei"), ()
    for seed in range(seeds):
        for also in (False, True):
            yield f"forgetting also={also} seed={seed} minutes={minutes:g}", forgetting, (also, seed, minutes)
        for parts in ((2, 4), (4,)):
            said = ",".join(f"{part * minutes:g}" for part in parts)
            yield f"going-on minutes={said} seed={seed}", going_on, (parts, seed, minutes)


def tables(results):
    """Markdown tables: means, and least and largest, over draws and seeds."""
    groups = {}
    for name, row in results.items():
        words = [word for word in name.split() if not word.startswith(("draw=", "seed="))]
        groups.setdefault(words[0], {}).setdefault(" ".join(words[1:]), []).append(row)
    for kind, found in groups.items():
        named = dict.fromkeys(name for lines in found.values() for name in lines[0])
        scores = [name for name in named if name not in ("processor_seconds", "update", "width")]
        print(f"| {kind} | runs | {' | '.join(scores)} |\n| --- | --- |{' --- |' * len(scores)}")
        for name, lines in found.items():
            cells = [spread([line[score] for line in lines if score in line]) for score in scores]
            print(f"| {name} | {len(lines)} | {' | '.join(cells)} |")
        print()


def spread(values):
    """A mean, with the least and the largest value if there are several; nothing if there is none."""
    if not values:
        return ""
    mean = f"{np.mean(values):.3f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.3f} to {max(values):.3f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--make", action="append", metavar="PATTERN", help="rows to make, such as 'hela from=nuclei*'")
    parser.add_argument("--minutes", type=float, default=5, help="of two cores, for each run")
    parser.add_argument("--draws", type=int, default=3, help="of images to learn from")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument(
        "--work", type=Path, default=Path(tempfile.gettempdir(), "few-images"), help="folder that keeps the runs"
    )
    given = parser.parse_args()
    torch.set_num_threads(1)
    if not given.make:
        tables(finished())
    for name, make, arguments in rows(given.draws, given.seeds, given.minutes):
        if name in finished() or not any(fnmatch(name, pattern) for pattern in given.make or []):
            continue
        row = {key: round(value, 4) for key, value in make(*arguments, given.work).items()}
        RESULTS.write_text(json.dumps(finished() | {name: row}, indent=1) + "\n")
        print(json.dumps({name: row}), flush=True)
    print(json.dumps({"rows": len(finished())}))


def finished():
    """Rows by name."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


if __name__ == "__main__":
    main()
