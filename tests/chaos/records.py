"""Damaged records: everything that biounet reads back is read or refused in words, never a traceback, and soon."""

import atexit
import random
import resource
import shutil
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch

from biounet.cli.folds import read_summary
from biounet.config import RunConfig
from biounet.config.resolve import resolve_settings
from biounet.core.boxes import Box
from biounet.core.errors import BiounetError
from biounet.data.hashes import check_same_data, save_hashes
from biounet.data.normalize import Normalization
from biounet.evaluation import read_groups
from biounet.inference.files import predict_files
from biounet.inference.record import read_record
from biounet.io import Image, create, open_lazily, read, write
from biounet.models import build
from biounet.models.model_file import ModelCard, load_network, read_card, save_network
from biounet.report.log import load_log
from biounet.training.run_folder import add_row, cut_log
from biounet.training.step import State

from .damage import damage_csv, damage_json, damage_safetensors, damage_toml
from .outcome import Outcome
from .within import within

MEMORY = 512 * 2**20
"""Bytes that reading a damaged record may take."""

HASHES = {"train/a.tif": "0" * 64, "validation/b.tif": "1" * 64}
CONFIG = RunConfig.preset("default").updated({"model.width": 2, "model.depth": 1, "train.steps": 2})
LOG = "step,seconds,loss,learning_rate,waiting,score,best\n1,0.5,0.7,0.001,0.1,0.5,1\n2,0.9,0.6,0.001,0.1,nan,0\n"
FOLDS = "fold,images,score,step\n0,3,0.5,10.0\n1,,,\n"
GROUPS = "name,group,remark\na.tif,grey,\nb.tif,colour,blurred\n"


@dataclass(frozen=True)
class Case:
    """Files of one kind that are damaged, and the function that reads them.

    files : pattern of the files that are damaged, in the folder of the whole ones
    damage : (generator, content) -> content
    use : (folder) -> None
    copied : what of the folder is needed
    """

    files: str
    damage: Callable[[random.Random, bytes], bytes]
    use: Callable[[Path], object]
    copied: str


def read_some(path: Path) -> None:
    """Open an image, and read some of its pixels."""
    with open_lazily(path) as image:
        image.read(Box((0,) * len(image.shape), tuple(min(8, size) for size in image.shape)))


def use_log(folder: Path) -> None:
    """Go on with a run, and show its log."""
    for use in (
        partial(load_log, folder / "log.csv"),
        partial(add_row, folder, {"step": 3, "seconds": 1, "loss": 0.5}),
    ):
        try:
            use()
        except BiounetError as error:
            refused(error)
    cut_log(folder, step=1)
    load_log(folder / "log.csv")


def go_on(folder: Path) -> None:
    """Go on with a prediction; where that is done, the result is the whole one."""
    out = folder / "result.zarr"
    predict_files(folder / "model.safetensors", [folder / "a.tif"], out, resume=True, tile=16, device="cpu")
    whole = read(whole_files() / "result.zarr").array
    assert np.array_equal(read(out).array, whole), "another result than the whole one"


def resume(folder: Path) -> None:
    """Read the checkpoint of a run."""
    State.begin(CONFIG, torch.device("cpu")).resume(folder / "last")


def resume_zarr(folder: Path) -> None:
    """Open a result to write more of it."""
    create(folder / "result.zarr", shape=(40, 40), dtype="uint8", axes="YX", chunks=(16, 16), resume=True)


ZARR = {"copied": "result.zarr", "damage": damage_json}
CASES = {
    "toml": Case("config.toml", damage_toml, lambda at: resolve_settings({}, file=at / "config.toml"), "config.toml"),
    "log": Case("log.csv", damage_csv, use_log, "log.csv"),
    "folds": Case("folds.csv", damage_csv, lambda at: read_summary(at / "folds.csv"), "folds.csv"),
    "groups": Case("groups.csv", damage_csv, lambda at: read_groups(at / "groups.csv"), "groups.csv"),
    "hashes": Case("last/data.json", damage_json, lambda at: check_same_data(at / "last", HASHES), "last"),
    "checkpoint": Case("last/step-*", damage_safetensors, resume, "last"),
    "progress": Case("last/step-*", partial(damage_safetensors, entry="run"), resume, "last"),
    "weights": Case(
        "model.safetensors", damage_safetensors, lambda at: load_network(at / "model.safetensors"), "model.safetensors"
    ),
    "card": Case(
        "model.safetensors",
        partial(damage_safetensors, entry="biounet"),
        lambda at: read_card(at / "model.safetensors"),
        "model.safetensors",
    ),
    "record": Case("result.zarr/biounet.json", use=lambda at: read_record(at / "result.zarr"), **ZARR),
    "zarr": Case("result.zarr/**/zarr.json", use=lambda at: read_some(at / "result.zarr"), **ZARR),
    "zarr2": Case("old.zarr/**/.z*", damage_json, lambda at: read_some(at / "old.zarr"), "old.zarr"),
    "zarr-begun": Case("result.zarr/**/zarr.json", use=resume_zarr, **ZARR),
    "resume": Case("result.zarr/**/*.json", damage_json, go_on, "*"),
}  # fmt: skip


@cache
def whole_files() -> Path:
    """A folder with a whole file of every kind, made once."""
    folder = Path(tempfile.mkdtemp(prefix="biounet-chaos-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "config.toml").write_text(CONFIG.to_toml())
    for name, text in {"log": LOG, "folds": FOLDS, "groups": GROUPS}.items():
        (folder / f"{name}.csv").write_text(text)
    save_hashes(folder / "last", HASHES)
    State.begin(CONFIG, torch.device("cpu")).save(folder / "last")
    save_network(
        folder / "model.safetensors", build(CONFIG.model), ModelCard(model=CONFIG.model, normalization=Normalization())
    )
    pixels = np.random.default_rng(0).integers(0, 255, (40, 40)).astype(np.uint8)
    write(folder / "a.tif", Image(pixels, "YX"))
    with create(folder / "old.zarr", shape=(40, 40), dtype="uint8", axes="YX", version="0.4") as output:
        output.write(Box((0, 0), (40, 40)), pixels)
    predict_files(folder / "model.safetensors", [folder / "a.tif"], folder / "result.zarr", tile=16, device="cpu")
    return folder


def run(case: str, seed: int, folder: Path) -> Outcome:
    """Damage a file of a case and use it."""
    chosen, whole, rng = CASES[case], whole_files(), random.Random(f"{case} {seed}")
    for path in whole.glob(chosen.copied):
        copy = shutil.copytree if path.is_dir() else shutil.copy
        copy(path, folder / path.name)
    path = rng.choice(sorted(folder.glob(chosen.files)))
    path.write_bytes(chosen.damage(rng, path.read_bytes()))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        with within():
            chosen.use(folder)
    except BiounetError as error:
        return Outcome(refused(error), Counter({"refused": 1}))
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        said = f"{type(error).__name__}: {str(error)[:200]!r}"
        return Outcome(f"{said} in {Path(place.filename).name}, line {place.lineno}")
    more = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    return Outcome(f"{more / 2**20:.0f} MiB for a small record" if more > MEMORY else "", Counter({"read": 1}))


def refused(error: BiounetError) -> str:
    """What is wrong with the message of an error, or nothing."""
    said = str(error)
    if not said.strip() or "\n" in said or len(said) > 1000:
        return f"{type(error).__name__} that is no line of words: {said[:200]!r}"
    try:
        said.encode()
    except UnicodeEncodeError:
        return f"{type(error).__name__} that cannot be printed: {said[:200]!r}"
    return ""
