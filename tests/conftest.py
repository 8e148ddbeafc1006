"""What all tests share: the command in this process; and examples of Hypothesis without a deadline.

Machines that run tests are shared, so that an example may take long.
"""

import sys

import numpy as np
import pytest
from hypothesis import settings

from biounet.cli import main
from biounet.io import Image, write

settings.register_profile("biounet", deadline=None)
settings.load_profile("biounet")


@pytest.fixture
def command(monkeypatch, capfd):
    """Run a command in this process; return status, standard output and standard error."""

    def call(*words) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["biounet", *map(str, words)])
        try:
            main()
            status = 0
        except SystemExit as stopped:
            status = int(stopped.code or 0)
        said = capfd.readouterr()
        return status, said.out, said.err

    return call


@pytest.fixture
def noise_dataset(tmp_path):
    """Make a dataset of squares of noise with both classes; return its folder."""

    def make(*, images, side):
        rng = np.random.default_rng(0)
        for number in range(images):
            image = rng.integers(0, 255, (side, side)).astype(np.uint8)
            write(tmp_path / "data" / "images" / f"{number}.png", Image(image, "YX"))
            write(tmp_path / "data" / "labels" / f"{number}.png", Image(image // 128, "YX"))
        return tmp_path / "data"

    return make
