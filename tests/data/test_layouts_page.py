"""The page about layouts is that of the table."""

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_up_to_date():
    script = runpy.run_path(str(DOCS / "make_layouts.py"))
    text = script["page"]()
    assert (DOCS / "layouts.md").read_text() == text, "run python docs/make_layouts.py"
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")][2:]
    assert all(row[4] == "OK" for row in rows)
