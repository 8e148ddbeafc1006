"""What each idea of training is worth, alone, in equal minutes: three kinds of images, several seeds.

python benchmarks/ablations.py [--make PATTERN]... [--minutes 5] [--seeds 2] [--work FOLDER]

A row is a run that is trained and scored; its name is such as `dsb2018 idea=none seed=0 minutes=5`. --make makes the rows
whose name matches a pattern, but none that is in results/ablations.json; without it the table of docs/recipes.md is
printed. Each run has one thread; minutes are those of two cores, so a run of 5 minutes ends after 10 minutes of
processor time, however busy the machine is.

isbi2012: learnt from sections 4 to 19, chosen on 20 to 23; scored on both blocks that are held out, 0 to 3 and 20 to 23.
dsb2018: learnt from the 120 images of dsb2018, scored on the 272 of dsb2018-more.
hela: learnt from frames 26 to 83, scored on 2, 5 and 21.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from fnmatch import fnmatch
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
time.monotonic = time.process_time  # before anything takes it: budgets are of processor time
sys.path.append(str(Path(__file__).parents[1] / "scripts"))

import numpy as np  # noqa: E402
import torch  # noqa: E402

import biounet  # noqa: E402
from biounet.data import find_dataset  # noqa: E402
from biounet.io import Image, read, write  # noqa: E402
from biounet.metrics import isbi2012, seg  # noqa: E402
from make_models import DATA, HELA, labelled_frames, precisions  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "ablations.json"
CORES = 2

IDEAS = {
    "none": {},
    "attention-unet": {"model.name": "attention-unet"},
    "cascade-unet": {"model.name": "cascade-unet"},
}
"""Settings of each idea, of all kinds of images."""


def sections(folder, first, end):
    """Copy sections of ISBI 2012."""
    dataset = find_dataset(DATA / "isbi2012")
    for pair in dataset.pairs[first:end]:
        image, truth = dataset.load(pair)
        for part, array in (("images", image[0]), ("labels", (truth > 0).astype(np.uint8))):
            write(folder / part / f"{pair.name}.png", Image(array, "YX"))


def gather_sections(folder):
    """Sections to learn from, and to choose on."""
    sections(folder / "data", 4, 20)
    sections(folder / "other", 20, 24)
    return folder / "data", {"train.validation": str(folder / "other"), "train.target": "classes"}


def gather_nuclei(folder):
    """The images of dsb2018 as they lie."""
    return DATA / "dsb2018", {}


def gather_frames(folder):
    """HeLa frames 26 to 83, with labels of experts and silver truth."""
    for number in range(26, 84):
        for name in (f"01/t{number:03}.tif", f"01_GT/SEG/man_seg{number:03}.tif", f"01_ST/SEG/man_seg{number:03}.tif"):
            if (DATA / HELA / name).exists():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(DATA / HELA / name, folder / name)
    return folder, {"train.silver": True}


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
    """Average precision on other images."""
    images = sorted((DATA / "dsb2018-more" / "images").iterdir())
    found, _, _ = precisions(file, images)
    stained = np.array([read(path).array.ndim == 3 for path in images])
    scores = {}
    for name, part in (("all", found), ("grey", found[~stained]), ("stained", found[stained])):
        scores |= {f"AP50 {name}": float(part[:, 0].mean()), f"AP50-90 {name}": float(part.mean())}
    return scores


def score_frames(file):
    """SEG on frames 2, 5 and 21."""
    model = biounet.load_model(file)
    truths = {n: read(DATA / HELA / f"01_GT/SEG/man_seg{n}.tif", labels=True).array for n in labelled_frames(DATA)[:3]}
    found = [seg(truth, model.segment(DATA / HELA / f"01/t{number}.tif")) for number, truth in truths.items()]
    return {"SEG": float(np.mean(found))}


KINDS = {
    "isbi2012": (gather_sections, score_sections),
    "dsb2018": (gather_nuclei, score_nuclei),
    "hela": (gather_frames, score_frames),
}


def row(kind, idea, seed, minutes, work):
    """Train and score."""
    gather, score = KINDS[kind]
    run = work / f"{kind}-{idea}-{seed}-{minutes:g}"
    shutil.rmtree(run, ignore_errors=True)
    began = time.process_time()
    with tempfile.TemporaryDirectory() as place:
        data, settings = gather(Path(place))
        settings = {**settings, "train.seed": seed, **IDEAS[idea]}
        model = biounet.train(data, run, minutes=CORES * minutes, settings=settings, report=False)
    seconds = round(time.process_time() - began)
    facts = {"processor_seconds": seconds, "update": model.card.training["step"], "width": model.card.model.width}
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
    for kind in KINDS:
        for idea in IDEAS:
            for seed in range(given.seeds):
                name = f"{kind} idea={idea} seed={seed} minutes={given.minutes:g}"
                if name in finished() or not any(fnmatch(name, pattern) for pattern in given.make or []):
                    continue
                print(name, flush=True)
                made = row(kind, idea, seed, given.minutes, given.work)
                RESULTS.write_text(json.dumps({**finished(), name: made}, indent=1) + "\n")
                print(json.dumps(made), flush=True)


if __name__ == "__main__":
    main()
