"""Templates: escaped, and complete."""

import jinja2
import pytest

from biounet.report.templates import FOLDER, render


def test_text_is_escaped():
    assert "<script>" not in render("facts.html", facts={"<script>": "<script>"})


def test_a_name_without_a_value_is_an_error():
    with pytest.raises(jinja2.UndefinedError, match="facts"):
        render("facts.html")


def test_no_template_takes_text_for_html():
    """Only `Markup`, which a template or a chart of ours has made, is taken as it is."""
    for path in FOLDER.glob("*.html"):
        assert "|safe" not in path.read_text().replace(" ", "")
        assert "autoescape" not in path.read_text()
