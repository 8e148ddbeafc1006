"""A share of the damaged records: other seeds than `make chaos` begins with."""

import sys

import pytest

if sys.platform == "win32":
    pytest.skip("Windows has no alarm to end what takes too long", allow_module_level=True)

from chaos import records

SEEDS = {"resume": 8, "checkpoint": 20, "progress": 20, "zarr": 40, "zarr2": 40, "zarr-begun": 40}
"""Case -> number of seeds that are played, where it is not 150."""


@pytest.mark.parametrize("case", records.CASES)
def test_what_is_damaged_is_read_or_refused_in_words(tmp_path, case):
    findings = {}
    for seed in range(10_000, 10_000 + SEEDS.get(case, 150)):
        folder = tmp_path / str(seed)
        folder.mkdir()
        if wrong := records.run(case, seed, folder):
            findings[f"python -m tests.chaos records --case {case} --seed {seed}"] = wrong
    assert not findings
