"""Scripts in a bioimage.io package that make objects of probabilities, by the rules of the model, in other programs."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from biounet.config.object_rules import ObjectRules
from biounet.segmentation.elevation import seed_level
from biounet.segmentation.large_seeds import STEP, least_part

__all__ = ["object_scripts"]


PLACE = "// RULES\n"
"""Line of a script in whose place the rules are written."""


def object_scripts(rules: ObjectRules, *, dims: int) -> dict[str, bytes]:
    """A macro of ImageJ and, in the plane, a script of QuPath, with the rules in them.

    Parameters
    ----------
    rules : ObjectRules
    dims : 2 or 3

    Returns
    -------
    dict
        Name of a file -> its text.

    Notes
    -----
    They do what `biounet.segmentation.segment_objects` does, and give the same labels, but for probabilities that lie
    on a threshold to the last digit of float32.

    Examples
    --------
    >>> files = object_scripts(ObjectRules(seed=0.6), dims=2)
    >>> list(files), [line for line in files["objects.ijm"].decode().splitlines() if line.startswith("var SEED")]
    (['objects.ijm', 'objects.groovy'], ['var SEED = 153;'])
    """
    values = _values(rules, dims)
    written = {
        "objects.ijm": "".join(f"var {name} = {value};\n" for name, value in values.items()),
        "objects.groovy": "".join(
            f"    static final {_kind(value)} {name} = {value}\n" for name, value in values.items()
        ),
    }
    chosen = list(written) if dims == 2 else ["objects.ijm"]
    return {name: _template(name).replace(PLACE, written[name]).encode() for name in chosen}


def _values(rules: ObjectRules, dims: int) -> Mapping[str, str]:
    """Rules as scripts have them: levels of the elevation, and -1 or 0 for what is not asked for."""
    numbers = {
        "FOREGROUND": float(np.float32(rules.foreground)),
        "SEED": seed_level(rules.seed),
        "LEAST_SEED": rules.least_seed,
        "PEAK": seed_level(rules.peak),
        "SECOND_SEED": 0 if rules.second_seed is None else seed_level(rules.second_seed),
        "LARGEST_SEED": -1 if rules.largest_seed is None else rules.largest_seed,
        "LEAST_PART": least_part(rules),
        "STEP": STEP,
        "LEAST_PIXELS": rules.least_pixels,
        "LARGEST_HOLE": -1 if rules.largest_hole is None else rules.largest_hole,
        "DIMS": dims,
    }
    grow = "true" if rules.grow else "false"
    return {"TARGET": f'"{rules.target}"', "GROW": grow} | {name: repr(number) for name, number in numbers.items()}


def _kind(value: str) -> str:
    """Type of a value in Groovy."""
    if value in ("true", "false"):
        return "boolean"
    return "String" if value.startswith('"') else "double" if "." in value or "e" in value else "int"


def _template(name: str) -> str:
    """The text of a script without rules."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
