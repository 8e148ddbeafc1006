"""Names that scripts may import: they are where the documentation says, listed, and shown by dir()."""

import importlib
import subprocess
import sys

import pytest

PUBLIC = {
    "biounet": ("Model", "__version__", "evaluate", "load_model", "measure", "train"),
    "biounet.config": ("IGNORE", "ModelConfig", "TileConfig", "TrainConfig"),
    "biounet.config.tasks": ("TASKS",),
    "biounet.data": ("LAYOUTS", "find_dataset"),
    "biounet.data.augment": ("AUGMENTATIONS",),
    "biounet.data.augment.spatial": ("draw_elastic", "warp"),
    "biounet.data.weight_maps": ("border_weights", "class_weights"),
    "biounet.io": ("FORMATS", "Image", "open_lazily", "read", "write"),
    "biounet.metrics": (
        "METRICS",
        "average_precision",
        "dice",
        "iou",
        "isbi2012",
        "panoptic_quality",
        "pixel_error",
        "rand_error",
        "seg",
        "v_info",
        "v_rand",
        "warping_error",
    ),
    "biounet.models": ("MODELS", "build", "nearest_sizes", "valid_output_size"),
    "biounet.training.losses": ("LOSSES",),
    "biounet.training.monitor": ("Monitor", "StoppedError"),
}
"""Module -> the names that keep their place and their meaning."""


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in PUBLIC.items() for name in names])
def test_a_public_name_is_listed_and_shown_where_it_is_imported_from(module, name):
    where = importlib.import_module(module)
    assert getattr(where, name) is not None
    assert name in where.__all__
    assert name in dir(where)


def test_biounet_lists_no_other_names():
    import biounet

    assert sorted(biounet.__all__) == sorted(PUBLIC["biounet"])
    with pytest.raises(AttributeError, match="no attribute 'predict'"):
        biounet.predict  # noqa: B018


@pytest.mark.parametrize(
    "use", ["biounet.__all__", "dir(biounet)", "biounet.train", "biounet.evaluate", "biounet.measure"]
)
def test_scores_and_tables_need_no_torch(use):
    code = f"import sys, biounet; {use}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_command_line_is_there_as_a_module():
    done = subprocess.run([sys.executable, "-m", "biounet", "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Train a network on annotated images." in done.stdout
