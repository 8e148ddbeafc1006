"""The command line: what is asked is done, and what cannot be done is said in one line with status 2."""

import csv
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from biounet.config import RunConfig
from biounet.data.synthetic import draw_membranes
from biounet.io import Image, read, write

QUICK = [
    *("--steps", "2", "--set", "train.reports=2", "--set", "train.patch=32"),
    *("--set", "model.width=2", "--set", "model.depth=2"),
]


@pytest.fixture
def biounet(command):
    return command


@pytest.fixture
def dataset(tmp_path) -> Path:
    """Six small annotated images."""
    folder = tmp_path / "data"
    for number in range(6):
        image, labels = draw_membranes(np.random.default_rng(number), size=(48, 40), cell=20)
        write(folder / "images" / f"{number}.png", Image(image, "YX"))
        write(folder / "labels" / f"{number}.tif", Image(labels.astype(np.uint16), "YX"))
    return folder


def refused(biounet, *words) -> str:
    """What is said of bad input: one line, status 2."""
    status, _, said = biounet(*words)
    problem = [line for line in said.splitlines() if line.startswith("biounet: ")]
    assert (status, len(problem)) == (2, 1), said
    assert said.splitlines()[-1] == problem[0]
    return problem[0]


def test_help_needs_no_torch():
    code = "import sys; sys.argv = ['biounet', '--help']\nfrom biounet.cli import main\ntry:\n    main()\nfinally:\n"
    code += "    assert not {'torch', 'numba', 'scipy'} & set(sys.modules), 'too much was imported'"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(word in done.stdout for word in ("demo", "check", "train", "predict", "evaluate"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["check", "no/such"], "no/such: there is no such folder; check the name"),
        (["train", "no/such", "--out", "run"], "no/such: there is no such folder; check the name"),
        (["train", ".", "--out", ""], "is no name of its own"),
        (["check", ".", "--model", "unett"], "got 'unett'; did you mean unet?"),
        (["check", ".", "--set", "train.loss=dica"], "got 'dica'; did you mean dice?"),
        (["check", ".", "--set", "batch=3"], "unknown setting 'batch'; did you mean train.batch?"),
        (["predict", "no-model", "a.tif", "--out", "b.tif"], "no-model is missing; give a model file"),
        (["predict", "pyproject.toml", "no.tif", "--out", "b.tif"], "no.tif: there is no such file or folder"),
        (["evaluate", "no.tif", "no.tif"], "no.tif: there is no such file or folder"),
        (["measure", "no.tif", "--out", "tables"], "no.tif: there is no such file or folder"),
    ],
)
def test_what_is_wrong_with_words_is_said_before_large_libraries_are_imported(words, said):
    code = f"import sys; sys.argv = ['biounet', *{words!r}]\nfrom biounet.cli import main\ntry:\n    main()\nfinally:\n"
    code += "    assert not {'torch', 'numba', 'scipy'} & set(sys.modules), 'too much was imported'"
    folder = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("biounet: ")
    assert said in done.stderr


def test_every_command_has_short_options(biounet):
    import biounet as package

    assert biounet("--version") == (0, f"biounet {package.__version__}\n", "")
    for command in ("demo", "check", "train", "predict", "evaluate", "export", "download", "measure"):
        status, help_text, _ = biounet(command, "-h")
        assert status == 0
        assert all(option in help_text for option in ("-v, --verbose", "-q, --quiet", "-h, --help"))
    assert "either -v or --quiet" in refused(biounet, "check", ".", "-v", "--quiet")


def test_a_quiet_command_prints_results_alone(biounet, dataset, tmp_path):
    status, out, said = biounet("train", dataset, "--out", tmp_path / "run", *QUICK, "--quiet")
    assert (status, out, said) == (0, "", "")
    status, out, said = biounet("check", dataset, *QUICK, "--quiet")
    assert (status, said) == (0, "")
    assert "5 images to train on" in out


def test_train_predict_evaluate(biounet, dataset, tmp_path):
    run, result = tmp_path / "run", tmp_path / "result"
    status, _, said = biounet("train", dataset, "--out", run, *QUICK)
    assert status == 0, said
    assert {"model.safetensors", "last", "config.toml", "log.csv", "report.html"} <= {
        path.name for path in run.iterdir()
    }
    with (run / "log.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert {"step", "seconds", "loss", "score"} <= set(rows[0])
    assert tomllib.loads((run / "config.toml").read_text())["model"]["width"] == 2

    status, _, said = biounet("predict", run, dataset / "images", "--out", result)
    assert status == 0, said
    assert sorted(path.stem for path in result.glob("*.*")) == [*(str(number) for number in range(6)), "report"]
    assert sorted(path.stem for path in (result / "pictures").iterdir()) == [str(number) for number in range(6)]
    assert read(result / "0.tif").array.shape == (48, 40)

    scores = tmp_path / "scores.json"
    status, table, said = biounet("evaluate", result, dataset, "--json", scores, "--metrics", "overlap,objects")
    assert status == 0, said
    assert "dice" in table
    written = json.loads(scores.read_text())
    assert {"scores", "images"} <= set(written)
    assert len(written["images"]) == 6
    assert 0 <= written["scores"]["dice"] <= 1


def test_config_can_be_fed_back(biounet, dataset, tmp_path):
    biounet("train", dataset, "--out", tmp_path / "a", *QUICK, "--seed", 3)
    config = tmp_path / "a" / "config.toml"
    status, _, said = biounet("train", dataset, "--out", tmp_path / "b", "--config", config)
    assert status == 0, said
    first, second = (RunConfig.from_toml((tmp_path / run / "config.toml").read_text()) for run in "ab")
    assert first == second
    models = [(tmp_path / name / "model.safetensors").read_bytes() for name in "ab"]
    assert models[0] == models[1]


def test_a_finished_run_can_be_resumed_and_changes_nothing(biounet, dataset, tmp_path):
    biounet("train", dataset, "--out", tmp_path / "run", *QUICK)
    before = (tmp_path / "run" / "model.safetensors").read_bytes()
    status, _, said = biounet("train", dataset, "--out", tmp_path / "run", "--resume")
    assert status == 0, said
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == before


def test_resuming_with_other_settings_is_refused(biounet, dataset, tmp_path):
    biounet("train", dataset, "--out", tmp_path / "run", *QUICK)
    said = refused(biounet, "train", dataset, "--out", tmp_path / "run", "--resume", "--set", "train.batch=5")
    assert "train.batch" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--resume", "--config", "mine.toml"], "leave out --config and --preset"),
        (["--resume", "--preset", "default"], "leave out --config and --preset"),
        (["--config", "mine.toml", "--preset", "paper"], "give --config or --preset, not both"),
        (["--folds", "2", "--validation", "0.5"], "leave out --validation"),
        (["--folds", "2", "--set", "train.validation=0.5"], "leave out --validation"),
        (["--minutes", "inf"], "train.minutes: Input should be a finite number, got inf"),
    ],
)
def test_words_that_would_not_count_are_refused_before_images_are_looked_for(biounet, tmp_path, words, said):
    assert said in refused(biounet, "train", tmp_path / "nothing", "--out", tmp_path / "run", *words)
    assert not list(tmp_path.iterdir())


def test_check_says_what_there_is(biounet, dataset):
    status, out, said = biounet("check", dataset, *QUICK)
    assert status == 0, said
    assert "5 images to train on, 1 to validate on" in out
    assert "48 x 40" in out
    assert "plan: 2 steps and 2 reports in " in out
    assert all(f"  {part}: " in out for part in ("before", "training", "reports", "finalising"))
    assert "memory: about " in out


def test_check_says_that_minutes_hold_too_few_steps(biounet, dataset):
    small = ("--set", "model.width=2", "--set", "model.depth=2", "--set", "train.patch=32")
    status, out, said = biounet("check", dataset, "--minutes", 1e-6, *small)
    assert status == 0, said
    assert "note: --minutes 1e-06 is time for 1 step, and a network hardly learns from less than 100" in out


def test_check_takes_the_settings_of_train(biounet, dataset, tmp_path):
    settings = RunConfig.preset("paper").updated({"model.width": 2, "model.depth": 2, "train.patch": 32})
    config = tmp_path / "config.toml"
    config.write_text(settings.to_toml())
    words = ("--config", config, "--model", "unet++", "--steps", 2, "--precision", "float32", "--seed", 1)
    status, out, said = biounet("check", dataset, *words, "--set", "model.padding=same", "--set", "train.reports=2")
    assert status == 0, said
    assert "network: unet++, " in out
    assert "batches of 1 patches of 32 x 32 px" in out


@pytest.mark.parametrize("verb", ["check", "train"])
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model", "nope"], "'nope'"),
        (["--model", "ternausnet", "--set", "model.padding=valid"], "pads its convolutions"),
        (["--set", "model.pretrained=/no/such.safetensors"], "UNet takes no public weights"),
        (
            ["--model", "fcn-8s", "--set", "model.pretrained=/no/such.safetensors"],
            "'biounet download vgg16_bn --out DIR'",
        ),
        (["--set", "train.loss=dica"], "'dica'"),
    ],
)
def test_unsuited_settings_are_said_before_images_are_looked_for(biounet, tmp_path, verb, words, said):
    options = ["--out", tmp_path / "run"] if verb == "train" else []
    (tmp_path / "empty").mkdir()
    assert said in refused(biounet, verb, tmp_path / "empty", *options, *words)
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_settings_that_are_no_text_are_said_in_a_line(biounet, tmp_path):
    config = tmp_path / "config.toml"
    config.write_bytes(b"\xff\xfe")
    said = refused(biounet, "train", tmp_path / "nothing", "--out", tmp_path / "run", "--config", config)
    assert "config.toml, line 1: the text is damaged (byte 0xff is not UTF-8); mend it" in said


def test_an_output_that_exists_is_refused_and_kept(biounet, dataset, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("mine")
    assert "not empty" in refused(biounet, "train", dataset, "--out", tmp_path / "run", *QUICK)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--set", "train.los=dice"], "unknown setting 'train.los'"),
        (["--set", "train.loss"], "section.key=value"),
        (["--set", "train.loss=dica"], "'dica'"),
        (["--model", "unett"], "unett"),
        (["--preset", "best"], "preset must be one of"),
        (["--minutes", "1"], "either steps or minutes"),
        (["--device", "tpu"], "device must be"),
        (["--precision", "float8"], "float8"),
        (["--validation", "1.5"], "validation"),
        (["--validation", "/no/such/folder"], "/no/such/folder"),
        (["--config", "/no/such.toml"], "/no/such.toml"),
        (["--steps", "many"], "'--steps'"),
        (["--no-such-option"], "--no-such-option"),
    ],
)
def test_wrong_words_are_said_and_leave_nothing(biounet, dataset, tmp_path, words, said):
    out = tmp_path / "run"
    assert said in refused(biounet, "train", dataset, "--out", out, *QUICK, *words)
    assert not out.exists()


def spoil_missing_label(folder):
    (folder / "labels" / "3.tif").unlink()
    return "3"


def spoil_size(folder):
    write(folder / "labels" / "3.tif", Image(np.ones((48, 41), np.uint16), "YX"), overwrite=True)
    return "3.tif"


def spoil_file(folder):
    path = folder / "labels" / "3.tif"
    path.write_bytes(path.read_bytes()[:60])
    return "3.tif"


def spoil_float_labels(folder):
    write(folder / "labels" / "3.tif", Image(np.full((48, 40), 0.5, np.float32), "YX"), overwrite=True)
    return "3.tif"


def spoil_one_class(folder):
    for number in range(6):
        write(folder / "labels" / f"{number}.tif", Image(np.zeros((48, 40), np.uint16), "YX"), overwrite=True)
    return "background"


def spoil_everything(folder):
    for path in folder.rglob("*.*"):
        path.unlink()
    return "data"


def spoil_with_nan(folder):
    (folder / "images" / "3.png").unlink()
    import tifffile

    tifffile.imwrite(folder / "images" / "3.tif", np.full((48, 40), np.nan, np.float32))
    return "3.tif"


@pytest.mark.parametrize(
    "spoil",
    [
        *(spoil_missing_label, spoil_size, spoil_file, spoil_float_labels),
        *(spoil_one_class, spoil_everything, spoil_with_nan),
    ],
)
def test_bad_datasets_are_named_and_leave_nothing(biounet, dataset, tmp_path, spoil):
    named = spoil(dataset)
    assert named in refused(biounet, "train", dataset, "--out", tmp_path / "run", *QUICK)
    assert not (tmp_path / "run").exists()


def test_a_single_image_is_divided_and_that_is_said(biounet, dataset, tmp_path):
    for path in (*dataset.rglob("[1-5].png"), *dataset.rglob("[1-5].tif")):
        path.unlink()
    status, _, said = biounet("train", dataset, "--out", tmp_path / "run", *QUICK)
    assert status == 0, said
    assert "there is one image" in said


def test_demo_makes_a_report(biounet, tmp_path):
    status, _, said = biounet("demo", "--out", tmp_path / "demo", "--minutes", "0.02")
    assert status == 0, said
    page = (tmp_path / "demo" / "report.html").read_text()
    assert page.count("data:image/png") >= 4
    assert "dice_2" not in page  # levels of distance tell nobody anything
    assert len(list((tmp_path / "demo" / "result").iterdir())) == 4
    assert "exists already" in refused(biounet, "demo", "--out", tmp_path / "demo", "--minutes", "0.02")


def test_scores_do_not_replace_what_is_scored(biounet, dataset):
    truth = dataset / "labels" / "0.tif"
    before = truth.read_bytes()
    for option in ("--json", "--per-image"):
        said = refused(biounet, "evaluate", truth, truth, option, truth, "--overwrite")
        assert "is the result (0.tif), which this command reads" in said
    assert truth.read_bytes() == before
