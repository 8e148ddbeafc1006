"""Pages and parts of pages from the Jinja templates beside this file; whatever people write is escaped."""

import functools
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

__all__ = ["FOLDER", "Markup", "render"]


FOLDER = Path(__file__).parent / "templates"


def render(name: str, **values: Any) -> Markup:
    """HTML from a template; text among the values is escaped, `Markup` is taken as it is.

    Parameters
    ----------
    name : of a file in the folder of templates
    values : what the template names; one that is missing is an error

    Examples
    --------
    >>> render("facts.html", facts={"name": "<script>"})
    Markup('<dl class="facts"><div><dt>name</dt><dd>&lt;script&gt;</dd></div></dl>')
    """
    return Markup(_environment().get_template(name).render(**values))


@functools.cache
def _environment() -> jinja2.Environment:
    """Templates with escaping, in which a name without a value is an error."""
    from biounet.core.words import percent
    from biounet.report.numbers import breakable, number, title_of

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"breakable": breakable, "number": number, "percent": percent, "title_of": title_of}
    return environment
