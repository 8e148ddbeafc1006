"""A share of the damaged files: other seeds than `make chaos` begins with."""

import sys

import pytest

if sys.platform == "win32":
    pytest.skip("Windows has no alarm to end what takes too long", allow_module_level=True)

from chaos import damaged_images, records

RECORDS = {"resume": 8, "checkpoint": 20, "progress": 20, "zarr": 40, "zarr2": 40, "zarr-begun": 40}
"""Case -> number of seeds that are played, where it is not 150."""


def findings(module, case, count, folder):
    """What is wrong, by the seed that plays it again."""
    found = {}
    for seed in range(10_000, 10_000 + count):
        place = folder / str(seed)
        place.mkdir()
        if wrong := module.run(case, seed, place).wrong:
            found[f"--case {case} --seed {seed}"] = wrong
    return found


@pytest.mark.parametrize("case", records.CASES)
def test_a_damaged_record_is_read_or_refused_in_words(tmp_path, case):
    assert not findings(records, case, RECORDS.get(case, 150), tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="the bound of the address space is read from /proc")
@pytest.mark.parametrize("case", damaged_images.CASES)
def test_a_damaged_image_is_read_or_refused_in_words(tmp_path, case):
    assert not findings(damaged_images, case, 30, tmp_path)
