"""A share of the attacks on processes: killed anywhere, side by side, with inputs that change, and on full disks.

The seeds are other ones than `make chaos` begins with. A finding is played again by
``python -m tests.chaos ATTACK --case CASE --seed SEED``.
"""

import os
import subprocess
import sys

import pytest

if not hasattr(os, "fork"):
    pytest.skip("commands are forked", allow_module_level=True)
pytest.importorskip("zarr")

from chaos import changed_inputs, full_disks, kills, memory_plans, pairs
from chaos.commands import Command, files
from chaos.jobs import JOBS, lay_out

SEED = 10_000


@pytest.mark.parametrize("case", ["zarr", "train", "folder-anew"])
def test_the_same_bytes_come_out_after_kills(tmp_path, case):
    assert not kills.run(case, SEED, tmp_path).wrong


@pytest.mark.parametrize("case", ["zarr", "folder"])
def test_of_two_commands_one_is_whole_and_the_other_told(tmp_path, case):
    assert not pairs.run(case, SEED, tmp_path).wrong


@pytest.mark.parametrize("case", ["zarr", "folder"])
def test_no_result_is_of_two_inputs(tmp_path, case):
    assert not changed_inputs.run(case, SEED, tmp_path).wrong


@pytest.mark.parametrize("case", ["zarr", "train"])
def test_a_full_disk_is_said_and_the_same_bytes_come_out_later(tmp_path, case):
    assert not full_disks.run(case, SEED, tmp_path).wrong


def test_the_peak_of_memory_is_under_what_was_said(tmp_path):
    assert not memory_plans.run("plan", SEED, tmp_path).wrong


def test_a_forked_command_has_the_bytes_of_one_that_is_started_anew(tmp_path):
    words = JOBS["zarr"].words
    places = [tmp_path / name for name in ("forked", "anew")]
    for place in places:
        lay_out(place)
    command = Command(words, place=places[0])
    assert command.end() == 0, command.said
    subprocess.run([sys.executable, "-m", "biounet", *words], cwd=places[1], check=True, capture_output=True)
    forked, anew = map(files, places)
    assert forked.keys() == anew.keys()
    assert [name for name in forked if forked[name] != anew[name]] == []
