"""Settings of the site, for Sphinx: `make docs` builds it into build/docs."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent / "src"))

import biounet  # noqa: E402  # the package of this checkout

project = "biounet"
author = "the biounet developers"
release = version = biounet.__version__
copyright = f"{author}. Apache 2.0"  # the name that Sphinx reads

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["papers.toml", "**.ipynb_checkpoints"]
highlight_language = "none"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 240

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
napoleon_google_docstring = False
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"biounet {release}"
html_static_path = ["pictures"]
html_show_sphinx = False


def fill_in(app, page: str, source: list[str]) -> None:
    """Put the generated tables in place of their marks, so that they are never out of date."""
    from make_reference import TABLES

    for mark, table in TABLES.items():
        line = f"<!-- {mark} -->"
        if line in source[0]:
            source[0] = source[0].replace(line, table())


def setup(app) -> dict[str, bool]:
    """Sphinx calls this."""
    app.connect("source-read", fill_in)
    return {"parallel_read_safe": True}
