"""The choice of a model in a widget: a model file, the folder of a run, or the name of a shipped model."""

from typing import Any

from biounet.config.shipped import SHIPPED
from biounet.core.errors import need

__all__ = ["chosen_model", "model_choice"]


def model_choice(label: str) -> Any:
    """A line for a path or a name, with a button that looks for files."""
    hint = f"A model file, the folder of a run, or the name of a shipped model: {', '.join(SHIPPED)}"
    return need("magicgui.widgets").FileEdit(label=label, mode="r", filter="*.safetensors", tooltip=hint)


def chosen_model(choice: Any) -> str:
    """What was chosen; empty if nothing was."""
    text = choice.line_edit.value.strip()
    return "" if text == "." else str(text)
