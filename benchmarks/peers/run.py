"""biounet beside other programs: the same images, the same processor time, the same scores.

python benchmarks/peers/run.py [--train NAME]... [--seconds 600] [--work FOLDER]

Trains the programs named on the 98 fluorescence images of dsb2018 (in the folder that BIOUNET_DATA names), scores them
on the 33 of dsb2018-more that are held out, and keeps a row of each in results/peers.json. Then prints all rows as the
table of docs/explanation/peers.md. Without --train it only prints.

Each program has one thread and an environment of its own, which the first run makes in FOLDER, with 1 to 2 GB each.
Time is that of the processor, however busy the machine is. On Linux torch brings CUDA along, unless PIP_TORCH says
where another build lies, such as `--index-url https://download.pytorch.org/whl/cpu`.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE.parent / "results" / "peers.json"
sys.path.append(str(HERE.parent))

from biounet.io import read  # noqa: E402
from few_images import dark, fluorescence, fluorescence_held_out, masks_of, means  # noqa: E402
from make_models import precision  # noqa: E402


@dataclass(frozen=True)
class Program:
    """A script that trains, the licence of what it trains, and what pip installs for it, in this order."""

    script: str
    licence: str
    packages: tuple[str, ...] = ()


FILES = ("imagecodecs", "scikit-image", "tifffile")
PROGRAMS = {
    "biounet": Program("train_biounet", "Apache-2.0"),
    "nnU-Net": Program("train_nnunet", "Apache-2.0", ("torch", "nnunetv2==2.8.1", *FILES)),
    "StarDist": Program("train_stardist", "BSD-3-Clause", ("stardist==0.9.2", "tensorflow-cpu==2.21.0", *FILES)),
    "MONAI U-Net": Program("train_monai", "Apache-2.0", ("torch", "monai==1.6.0", *FILES)),
}
"""biounet runs in the environment of this script."""
COLUMNS = {
    "updates": ("updates", ","),
    "training_seconds": ("training, s", ".0f"),
    "AP50": ("AP at 0.5", ".3f"),
    "AP50-90": ("mean of 0.5 to 0.9", ".3f"),
    "seconds_per_megapixel": ("prediction, s per megapixel", ".1f"),
}
"""Numbers of a row: title and format in the table."""


def environment(program, work):
    """The interpreter of an environment with a program, which is made if it is not there."""
    if not program.packages:
        return sys.executable
    folder = work / f"environment-{program.script}"
    python, done = folder / "bin" / "python", folder / "done"
    if not done.exists():
        venv.create(folder, clear=True, with_pip=True)
        install = [python, "-m", "pip", "install", "--quiet"]
        if "torch" in program.packages:  # alone and first: any other order may pull in another build of it
            install += ["--constraint", HERE.parents[1] / "constraints.txt"]
            subprocess.run([*install, "torch", *os.environ.get("PIP_TORCH", "").split()], check=True)
        subprocess.run([*install, *program.packages], check=True)
        done.touch()
    return python


def gather(folder):
    """Copy images to learn from with their masks, and those that are held out without."""
    fluorescence(len(dark()), 0, folder)
    (folder / "test").mkdir()
    for path in fluorescence_held_out():
        shutil.copy(path, folder / "test")


def scores(results):
    """Average precision of the label images in a folder."""
    pairs = [(masks_of(path), results / f"{path.stem}.tif") for path in fluorescence_held_out()]
    return means([precision(*(read(path, labels=True).array for path in pair)) for pair in pairs])


def measure(program, seconds, work):
    """Train a program, find the nuclei of the images held out, and score them: a row."""
    python, folder = environment(program, work), work / program.script
    shutil.rmtree(folder, ignore_errors=True)
    gather(folder)
    command = [python, HERE / f"{program.script}.py", folder, "--seconds", str(seconds)]
    surroundings = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, env=surroundings, stdout=subprocess.PIPE, text=True, check=True)
    row = scores(folder / "results") | json.loads(done.stdout.splitlines()[-1])
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()}


def table(rows):
    """Rows as a table in Markdown, the best first."""
    lines = [["program", "licence", *(title for title, _ in COLUMNS.values())], ["---"] * (len(COLUMNS) + 2)]
    for name, row in sorted(rows.items(), key=lambda item: -item[1]["AP50-90"]):
        versions = ", ".join(f"{library} {version}" for library, version in row["versions"].items())
        numbers = [format(row[key], form) for key, (_, form) in COLUMNS.items()]
        lines.append([f"{name} ({versions})", PROGRAMS[name].licence, *numbers])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def finished():
    """Rows by name."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", action="append", metavar="NAME", choices=list(PROGRAMS), default=[])
    parser.add_argument("--seconds", type=float, default=600, help="of processor time, for the updates of a program")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir(), "biounet-peers"))
    given = parser.parse_args()
    for name in given.train:
        row = measure(PROGRAMS[name], given.seconds, given.work)
        RESULTS.write_text(json.dumps(finished() | {name: row}, indent=1) + "\n")
    print(table(finished()))


if __name__ == "__main__":
    main()
