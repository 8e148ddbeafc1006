"""Tests of the folder of a run: which folders are refused, leftovers of killed processes, and the log."""

from pathlib import Path

import pytest

from biounet.config import RunConfig
from biounet.core.errors import OutputError, TrainingError
from biounet.training.run_folder import add_row, begin_folder, check_folder, check_new, clear_parts, cut_log


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_a_folder_is_new_until_its_settings_are_written(tmp_path):
    check_new(tmp_path / "missing")
    touch(tmp_path, ".lock", "last/data.json", ".config.4711.part.toml")
    check_new(tmp_path)
    touch(tmp_path, "config.toml")
    with pytest.raises(OutputError, match="not empty"):
        check_new(tmp_path)


@pytest.mark.parametrize("name", ["data.json", "other/last/data.json", "last/step-00000001.safetensors", "notes.txt"])
def test_files_of_others_stay(tmp_path, name):
    touch(tmp_path, name)
    with pytest.raises(OutputError, match="not empty"):
        check_new(tmp_path)


def test_half_written_files_of_killed_processes_are_removed_and_nothing_else(tmp_path):
    parts = (".model.1.part.safetensors", ".report.22.part.html", "last/.step-00000004.5889.part.safetensors")
    others = ("last/step-00000004.safetensors", ".result.1.part.tif", "log.csv")
    touch(tmp_path, *parts, *others)
    clear_parts(tmp_path)
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()} == set(others)


def test_a_checkpoint_that_a_killed_process_should_have_removed_goes(tmp_path):
    (tmp_path / "last").mkdir()
    for step in (2, 4, 6):
        (tmp_path / "last" / f"step-{step:08d}.safetensors").touch()
    clear_parts(tmp_path)
    assert sorted(path.name for path in (tmp_path / "last").iterdir()) == [
        "step-00000004.safetensors",
        "step-00000006.safetensors",
    ]


def test_a_row_that_lacks_scores_has_no_numbers_there(tmp_path):
    add_row(tmp_path, {"step": 1, "loss": 0.5, "score": 0.25, "best": 1})
    add_row(tmp_path, {"step": 2, "loss": float("nan"), "best": 0})
    assert (tmp_path / "log.csv").read_text().splitlines() == ["step,loss,score,best", "1,0.5,0.25,1", "2,nan,nan,0"]


@pytest.mark.parametrize(
    ("rows", "kept"),
    [
        ("2,0.5\n4,0.4\n", "2,0.5\n4,0.4\n"),
        ("2,0.5\n4,0.4\n6,0.3\n", "2,0.5\n4,0.4\n"),
        ("2,0.5\n4,0.", "2,0.5\n"),
        ("2,0.5\n\0\0\0\n", "2,0.5\n"),
        (f"2,0.5\n{'9' * 5000},0.4\n", "2,0.5\n"),
    ],
)
def test_rows_up_to_a_step_are_kept_if_they_are_whole(tmp_path, rows, kept):
    (tmp_path / "log.csv").write_text(f"step,loss\n{rows}")
    cut_log(tmp_path, step=4)
    assert (tmp_path / "log.csv").read_text() == f"step,loss\n{kept}"


@pytest.mark.parametrize("text", [b"", b"step,lo", b"step,loss\n", b"step,loss\n6,0.5\n", b"\xff\0", b"\xff\n2,0.5\n"])
def test_a_log_without_rows_begins_anew(tmp_path, text):
    (tmp_path / "log.csv").write_bytes(text)
    cut_log(tmp_path, step=4)
    assert not (tmp_path / "log.csv").exists()


def test_a_torn_file_of_hashes_is_an_error_of_one_line(tmp_path):
    begin_folder(tmp_path, RunConfig(), {}, {})
    check_folder(tmp_path, RunConfig(), {}, resume=True)
    (tmp_path / "last" / "data.json").write_text("{torn")
    with pytest.raises(TrainingError, match=r"data\.json, line 1: the text is torn .* another --out"):
        check_folder(tmp_path, RunConfig(), {}, resume=True)


@pytest.mark.parametrize("name", ["mine.txt", "mine.txt/run", "mine.txt/many/runs"])
def test_a_file_is_no_folder_for_a_run(tmp_path, monkeypatch, name):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"mine\.txt is a file, and no folder; choose another --out"):
        check_folder(tmp_path / name, RunConfig(), {}, resume=False)
    check_folder(tmp_path / "many" / "runs", RunConfig(), {}, resume=False)
    monkeypatch.chdir(tmp_path)
    check_folder(Path("run"), RunConfig(), {}, resume=False)
