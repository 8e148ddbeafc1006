"""The folder of a run: what is refused, what is left of killed processes, and the log."""

import pytest

from biounet.errors import OutputError
from biounet.runfolder import add_row, check_new, clear_parts, cut_log


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
def test_what_is_of_others_is_kept(tmp_path, name):
    touch(tmp_path, name)
    with pytest.raises(OutputError, match="not empty"):
        check_new(tmp_path)


def test_what_killed_processes_were_writing_is_removed_and_nothing_else(tmp_path):
    parts = (".model.1.part.safetensors", ".report.22.part.html", "last/.step-00000004.5889.part.safetensors")
    others = ("last/step-00000004.safetensors", ".result.1.part.tif", "log.csv")
    touch(tmp_path, *parts, *others)
    clear_parts(tmp_path)
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()} == set(others)


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
    ],
)
def test_rows_up_to_a_step_are_kept_if_they_are_whole(tmp_path, rows, kept):
    (tmp_path / "log.csv").write_text(f"step,loss\n{rows}")
    cut_log(tmp_path, step=4)
    assert (tmp_path / "log.csv").read_text() == f"step,loss\n{kept}"


@pytest.mark.parametrize("text", ["", "step,lo", "step,loss\n", "step,loss\n6,0.5\n"])
def test_a_log_without_rows_begins_anew(tmp_path, text):
    (tmp_path / "log.csv").write_text(text)
    cut_log(tmp_path, step=4)
    assert not (tmp_path / "log.csv").exists()
