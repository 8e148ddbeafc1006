"""The page on image formats says what is true now."""

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_on_formats_is_what_is_read_and_refused_now():
    script = runpy.run_path(str(DOCS / "make_formats.py"))
    assert (DOCS / "formats.md").read_text() == script["page"](), "run python docs/make_formats.py"
