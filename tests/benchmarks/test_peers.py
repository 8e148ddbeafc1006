"""The comparison with other programs: its page has the rows that were measured."""

import subprocess
import sys
from pathlib import Path

from processes import process_of

ROOT = Path(__file__).parents[2]


def test_the_page_has_the_table_that_the_command_prints():
    command = [sys.executable, ROOT / "benchmarks" / "peers" / "run.py"]
    with process_of(command, stdout=subprocess.PIPE, text=True) as process:
        table, _ = process.communicate()
    assert process.returncode == 0
    assert table.count("\n") > 2
    assert table in (ROOT / "docs" / "explanation" / "peers.md").read_text()
