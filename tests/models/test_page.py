"""The page of architectures says what the networks are now."""

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_up_to_date():
    script = runpy.run_path(str(DOCS / "make_architectures.py"))
    assert (DOCS / "architectures.md").read_text() == script["page"](), "run python docs/make_architectures.py"
