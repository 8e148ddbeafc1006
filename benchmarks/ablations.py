"""What an idea of training is worth by itself, in equal minutes: three kinds of images, several seeds.

python benchmarks/ablations.py [--make PATTERN]... [--minutes 5] [--seeds 2] [--work FOLDER]

A row is a run that is trained and scored; it has a name such as `dsb2018 idea=none seed=0 minutes=5`. --make makes the
rows whose name matches a pattern, but none that is in results/ablations.json; without it the rows that are there are
printed as the tables of docs/recipes.md. Rows of ideas that are no setting were made with code that was not kept. Each
run has one thread; minutes are those of two cores, so a run of 5 minutes ends after 10 minutes of processor time,
however busy the machine is.

isbi2012: learnt from sections 4 to 19, chosen on 20 to 23; scored on both blocks held out, 0 to 3 and 20 to 23.
dsb2018: learnt from the 120 images of dsb2018, scored on the 272 of dsb2018-more.
hela: learnt from frames 26 to 83, scored on 2, 5 and 21.
"""

# ruff: noqa: I001
import argparse
import json
import shutil
import tempfile
from fnmatch import fnmatch
from pathlib import Path

from few_images import tables, train  # first, since it counts processor time
from make_models import DATA, HELA, labelled_frames, precisions

import numpy as np
import torch

import biounet
from biounet.data import find_dataset
from biounet.io import Image, read, write
from biounet.metrics import isbi2012, seg

RESULTS = Path(__file__).parent / "results" / "ablations.json"

IDEAS = {
    "none": {},
    "attention-unet": {"model.name": "attention-unet"},
    "cascade-unet": {"model.name": "cascade-unet"},
}
"""Settings of each idea."""


def sections(folder, first, end):
    """Copy sections of ISBI 2012."""
    dataset = find_dataset(DATA / "isbi2012")
    for pair in dataset.pairs[first:end]:
        image, truth = dataset.load(pair)
        for part, array in (("images", image[0]), ("labels", (truth > 0).astype(np.uint8))):
            write(folder / part / f"{pair.name}.png", Image(array, "YX"))


def frames(folder):
    """Copy HeLa frames 26 to 83, with labels of experts and silver truth."""
    for number in range(26, 84):
        for name in (f"01/t{number:03}.tif", f"01_GT/SEG/man_seg{number:03}.tif", f"01_ST/SEG/man_seg{number:03}.tif"):
            if (DATA / HELA / name).exists():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(DATA / HELA / name, folder / name)


def score_sections(file):
    """The five scores of ISBI 2012 on both blocks."""
    model, dataset, found = biounet.load_model(file), find_dataset(DATA / "isbi2012"), {}
    for first in (0, 20):
        loaded = [dataset.load(pair) for pair in dataset.pairs[first : first + 4]]
        result = np.stack([model.predict(image)[1] for image, _ in loaded])
        scores = isbi2012(np.stack([truth > 0 for _, truth in loaded]), result)
        found |= {f"{name} {first}..{first + 3}": score for name, score in scores.items()}
    return found


def score_nuclei(file):
    """Average precision on other images, grey and stained."""
    images = sorted((DATA / "dsb2018-more" / "images").iterdir())
    found, _, _ = precisions(file, images)
    stained, scores = np.array([read(path).array.ndim == 3 for path in images]), {}
    for name, part in (("all", found), ("grey", found[~stained]), ("stained", found[stained])):
        scores |= {f"AP50 {name}": float(part[:, 0].mean()), f"AP50-90 {name}": float(part.mean())}
    return scores


def score_frames(file):
    """SEG on frames 2, 5 and 21."""
    model, found = biounet.load_model(file), []
    for number in labelled_frames(DATA)[:3]:
        truth = read(DATA / HELA / f"01_GT/SEG/man_seg{number}.tif", labels=True).array
        found.append(seg(truth, model.segment(DATA / HELA / f"01/t{number}.tif")))
    return {"SEG": float(np.mean(found))}


KINDS = {
    "isbi2012": (lambda folder: sections(folder, 4, 20), score_sections, {"train.target": "classes"}),
    "dsb2018": (lambda folder: shutil.copytree(DATA / "dsb2018", folder), score_nuclei, {}),
    "hela": (frames, score_frames, {"train.silver": True}),
}
"""Images to learn from, scores, settings."""


def row(kind, idea, seed, minutes, work):
    """Train and score."""
    gather, score, settings = KINDS[kind]
    run, other = work / f"{kind}-{idea}-{seed}-{minutes:g}", work / "sections"
    if kind == "isbi2012":
        shutil.rmtree(other, ignore_errors=True)
        sections(other, 20, 24)
        settings = {**settings, "train.validation": str(other)}
    shutil.rmtree(run, ignore_errors=True)
    facts = train(gather, run, minutes, seed=seed, settings=settings | IDEAS[idea])
    return score(run) | facts


def finished():
    """Rows that are there."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--make", action="append", metavar="PATTERN", help="rows to make, such as 'hela *'")
    parser.add_argument("--minutes", type=float, default=5, help="of two cores, for each run")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir(), "ablations"), help="keeps the runs")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if not given.make:
        tables(finished())
    for kind in KINDS:
        for idea in IDEAS:
            for seed in range(given.seeds):
                name = f"{kind} idea={idea} seed={seed} minutes={given.minutes:g}"
                if name in finished() or not any(fnmatch(name, pattern) for pattern in given.make or []):
                    continue
                print(name, flush=True)
                made = {key: round(value, 4) for key, value in row(kind, idea, seed, given.minutes, given.work).items()}
                RESULTS.write_text(json.dumps({**finished(), name: made}, indent=1) + "\n")
                print(json.dumps(made), flush=True)


if __name__ == "__main__":
    main()
