"""What all tests share: the command in this process; and examples of Hypothesis without a deadline.

Machines that run tests are shared, so that an example may take long.
"""

import sys

import pytest
from hypothesis import settings

from biounet.cli import main

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
