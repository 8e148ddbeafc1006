"""The command `biounet demo`: images drawn, a network trained, other images predicted, scored and reported."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from biounet.cli.progress import say
from biounet.cli.train import run_training
from biounet.config import RunConfig
from biounet.core.atomic_files import check_absent, remove_parts, sayable
from biounet.core.errors import OutputError
from biounet.core.output_lock import holding, is_lock
from biounet.core.places import check_output
from biounet.core.random import generator
from biounet.data import find_dataset
from biounet.data.synthetic import draw_membranes
from biounet.inference.model import load_model
from biounet.io import Image, write
from biounet.metrics import average_precision, dice, isbi2012, match_objects
from biounet.report import Picture, load_log, write_report
from biounet.report.answer import answer_objects
from biounet.report.run_report import without_levels
from biounet.training.object_scores import count_objects

__all__ = ["run_demo"]


PARTS = ("training", "held-out", "run", "result", "report.html")
SIZE = (256, 256)
SHOWN = ("dice", "average_precision", "v_rand")

WRITTEN = re.compile(
    r"(training|held-out)/(images|labels)/\.?section_\d\d\..*(png|tif)|result/\.?section_\d\d\..*tif"
    r"|run/(last|prepared)/.*|run/\.?(model|config|log|report)\..*(safetensors|toml|csv|html)"
)
"""Names of the files of a demo, relative to its folder, and of what is left of one that was killed."""


def run_demo(out: Path, *, minutes: float = 2.0, seed: int = 0, overwrite: bool = False) -> Path:
    """Draw images, train on some, predict and score the others, and return the report.

    Parameters
    ----------
    out : Path
        Takes ``training/`` and ``held-out/`` with images and labels, ``run/``, ``result/`` and ``report.html``.
    minutes : float
        Of training.
    seed : int
    overwrite : bool
        Whether an earlier demo in the folder may be removed.

    Raises
    ------
    OutputError
        If one of these exists already, or holds what no demo has written.
    """
    check_output(out)
    with holding((), folder=out):
        for part in PARTS:
            check_absent(out / part, overwrite=overwrite)
        _check_earlier(out)
        for part in PARTS[:-1]:
            shutil.rmtree(out / part, ignore_errors=True)
        remove_parts([out / "report.html"])
        return _run(out, minutes=minutes, seed=seed)


def _run(out: Path, *, minutes: float, seed: int) -> Path:
    """Run the demo in a folder that has nothing of another."""
    say("drawing 16 sections of tissue, 256 x 256 px, with every cell numbered")
    with sayable(out):
        draw_dataset(out / "training", seed=seed, numbers=range(12))
        draw_dataset(out / "held-out", seed=seed, numbers=range(12, 16))
    settings = RunConfig.preset("default").updated({"train.minutes": minutes, "train.seed": seed})
    run_training(out / "training", out / "run", settings)
    say("predicting the four sections that training never saw")
    pictures = predict_held_out(out)
    means = {name: float(np.mean([picture.scores[name] for picture in pictures])) for name in SHOWN}
    answer = answer_objects({picture.name: picture.scores for picture in pictures})
    say(answer.sentence)
    say("held-out sections: " + ", ".join(f"{name} {value:.3f}" for name, value in means.items()))
    write_report(
        out / "report.html",
        title="biounet demo: cells drawn, learnt and found",
        facts={name: f"{value:.3f}" for name, value in means.items()},
        log=without_levels(load_log(out / "run" / "log.csv")),
        pictures=pictures,
        confusion=None,
        class_names=["background", "objects"],
        answer=answer,
        config=(out / "run" / "config.toml").read_text(),
        finished=True,
    )
    say(f"done: {out / 'report.html'}")
    return out / "report.html"


def _check_earlier(out: Path) -> None:
    """Refuse to remove folders in which there is anything that no demo has written."""
    for part in PARTS[:-1]:
        for path in (out / part).rglob("*"):
            name = path.relative_to(out).as_posix()
            if path.is_symlink() or (path.is_file() and not WRITTEN.fullmatch(name) and not is_lock(path)):
                raise OutputError(f"{path} is of no demo, and would be removed; move it away, or choose another --out")


def draw_dataset(folder: Path, *, seed: int, numbers: Sequence[int]) -> None:
    """Write images and labels; section number n is the same in every demo with this seed."""
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
    for number in numbers:
        image, labels = draw_membranes(generator(seed, 0, number, stream="demo"), size=SIZE)
        write(folder / "images" / f"section_{number:02d}.png", Image(image, "YX"))
        write(folder / "labels" / f"section_{number:02d}.tif", Image(labels, "YX"))


def predict_held_out(out: Path) -> list[Picture]:
    """Predict, write and score the held-out sections."""
    model = load_model(out / "run")
    dataset = find_dataset(out / "held-out")
    pictures = []
    (out / "result").mkdir()
    for pair in dataset.pairs:
        image, truth = dataset.load(pair)
        probabilities, labels = model.predict(image), model.segment(image)
        write(out / "result" / f"{pair.image.stem}.tif", Image(labels, "YX"))
        scores = {
            "dice": dice(truth > 0, labels > 0),
            "average_precision": average_precision(truth, labels),
            "v_rand": isbi2012(truth > 0, 1 - probabilities[0])["v_rand"],
            **count_objects(match_objects(truth, labels)),
        }
        pictures.append(Picture(pair.image.stem, image, truth, labels, "objects", scores))
    return pictures
