"""Settings follow from the images: worked by hand on small sets."""

import re
from dataclasses import replace

import numpy as np
import pytest

from biounet.config import RunConfig
from biounet.core.labels import IGNORE
from biounet.data.annotated_image import AnnotatedImage
from biounet.data.normalize import Normalization
from biounet.data.training_set import TrainingSet
from biounet.models import build
from biounet.training.auto_settings import Fingerprint, choose_normalization, choose_settings

CELLS = Fingerprint((512, 512), (512, 512), None, 40, 30.0, 0.0, (0.6, 0.4), 0.0)
STACK = Fingerprint((32, 512, 512), (32, 512, 512), (5.0, 1.0, 1.0), 0, 0.0, 0.0, (0.5, 0.5), 0.0)
IMAGES, VOLUMES = RunConfig.preset("default"), RunConfig.preset("default").updated({"model.dims": 3})


def objects(labels, spacing=None):
    labels = np.array(labels)
    image = np.zeros((1, *labels.shape), np.float32)
    return AnnotatedImage("a", image, labels, np.clip(labels, IGNORE, 1).astype(np.int64), spacing)


def test_what_is_measured_is_what_is_there():
    first = objects([[1, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 2], [0, 0, 0, 2]], (0.5, 0.5))
    second = objects([[3, 4, 0, 0, 0, 0, 0, -1]], (0.5, 0.5))
    found = Fingerprint.of(TrainingSet([first, second], [], "objects", ()))
    assert (found.smallest, found.median, found.spacing) == ((1, 4), (2, 6), (0.5, 0.5))
    assert (found.objects, found.touching) == (4, 1.0)  # 1 and 2 have one pixel between them
    assert found.diameter == pytest.approx(2.7)  # of 1, 1, 2, 3 the 90th percentile
    assert found.unknown == pytest.approx(1 / 24)
    assert found.shares == pytest.approx((16 / 23, 7 / 23))
    assert "4 objects" in str(found)


def test_objects_are_found_where_few_images_have_any():
    """One image of 200 has an object, and is none of 64 that are spread evenly."""
    items = [objects([[0, 0, 0, 0]]) for _ in range(200)]
    items[101] = objects([[0, 1, 1, 0]])
    found = Fingerprint.of(TrainingSet(items, [], "objects", ()))
    assert (found.objects, found.diameter) == (1, 2.0)


@pytest.mark.parametrize(("sizes", "middle"), [((1.0, 2.0, 4.0), (2.0, 2.0)), ((1.0, None, 4.0), None)])
def test_of_several_pixel_sizes_the_median_counts_if_all_are_known(sizes, middle):
    items = [objects([[0, 1]], size and (size, size)) for size in sizes]
    assert Fingerprint.of(TrainingSet(items, [], "objects", ())).spacing == middle


def test_objects_in_thick_slices_are_as_long_as_they_are_and_so_are_gaps():
    labels = np.zeros((8, 6, 6), int)
    labels[:3, 2:4, 2:4], labels[6:, 2:4, 2:4] = 1, 2  # 3 and 2 slices, 3 between them: 12 px at 4 px per slice
    flat, thick = (
        Fingerprint.of(TrainingSet([objects(labels, spacing)], [], "objects", ()))
        for spacing in (None, (0.4, 0.1, 0.1))
    )
    assert (flat.diameter, thick.diameter) == pytest.approx((2.9, 11.6))  # 90 % of the way from 2 to 3 slices
    assert (flat.touching, thick.touching) == (1, 0)


@pytest.mark.parametrize(("diameter", "depth"), [(30, 4), (112, 4), (113, 5), (1000, 6)])
def test_the_network_is_so_deep_that_it_sees_an_object_whole(diameter, depth):
    large = replace(CELLS, diameter=float(diameter), median=(4096, 4096))
    fine = IMAGES.updated({"model.coarse": 1, "train.auto": ("model.depth",)})
    assert choose_settings(fine, large)[0].model.depth == depth


@pytest.mark.parametrize(
    ("name", "depth", "margin"), [("residual-unet", 4, 96), ("cascade-unet", 4, 320), ("pix2pix", 5, 96)]
)
def test_the_receptive_field_is_that_of_the_network(name, depth, margin):
    config, reasons = choose_settings(IMAGES.updated({"model.name": name}), replace(CELLS, diameter=69.0))
    assert config.model.depth == depth
    assert reasons["model.depth"] == f"an object of 69 px against the {margin} px that a pixel sees to each side"
    assert build(config.model).geometry.margin == (margin, margin)


@pytest.mark.parametrize("name", ["ternausnet", "sliding-window", "fcn-32s", "fcn-16s", "fcn-8s"])
def test_no_depth_is_chosen_where_the_architecture_has_its_own(name):
    config, reasons = choose_settings(IMAGES.updated({"model.name": name}), replace(CELLS, diameter=300.0))
    assert config.model.depth == IMAGES.model.depth
    assert "model.depth" not in reasons
    assert "train.patch" in reasons


def test_poolings_by_hand_fix_the_depth():
    given = IMAGES.updated({"model.depth": 4, "model.pooling": ((2, 2),) * 4, "train.auto": ("model.depth",)})
    config, reasons = choose_settings(given, replace(CELLS, diameter=300.0))
    assert (config.model.depth, reasons) == (4, {})


@pytest.mark.parametrize(("diameter", "coarse"), [(127, 1), (128, 2), (255, 2), (256, 4), (5000, 8)])
def test_large_objects_are_seen_at_a_fraction_of_their_size(diameter, coarse):
    large = replace(CELLS, diameter=float(diameter), median=(4096, 4096))
    config, reasons = choose_settings(IMAGES, large)
    assert config.model.coarse == coarse
    assert ("model.coarse" in reasons) == (coarse > 1)
    assert choose_settings(IMAGES.updated({"train.auto": ("train.patch",)}), large)[0].model.coarse == 1


def test_small_images_are_not_pooled_to_nothing():
    small = replace(CELLS, diameter=200.0, median=(100, 100))
    assert choose_settings(IMAGES, small)[0].model.depth == 4


def test_a_patch_holds_an_object_and_a_batch_half_the_work():
    small, reasons = choose_settings(IMAGES, replace(CELLS, diameter=51.0))
    assert (small.train.patch, small.train.batch) == (128, 4)  # 4 x 128 x 128 = 256 x 256
    assert "51 px" in reasons["train.patch"]
    large, _ = choose_settings(IMAGES, replace(CELLS, diameter=250.0, median=(2048, 2048)))
    assert (large.model.coarse, large.model.depth) == (2, 5)
    assert (large.train.patch, large.train.batch) == (384, 2)  # 2 x 192 x 192 squares of 2 px, about as many
    unpadded, _ = choose_settings(IMAGES.updated({"model.padding": "valid"}), replace(CELLS, diameter=51.0))
    assert (unpadded.train.patch, unpadded.train.batch) == (256, 2)
    given, _ = choose_settings(IMAGES.updated({"train.patch": 128}), replace(CELLS, diameter=250.0))
    assert (given.train.patch, given.train.batch) == (128, 2)


def with_hot_pixels(hot, count=10, kind="classes"):
    """Images of 40 x 40 px, in so many of them one pixel that is far brighter than the others."""
    rng, items = np.random.default_rng(0), []
    for number in range(count):
        image = rng.normal(500, 30, (1, 40, 40))
        image[0, 3, 4] = 60_000 if number < hot else 500
        labels = rng.integers(0, 2, (40, 40))
        items.append(AnnotatedImage(str(number), Normalization().measured(image).apply(image), labels, labels))
    return TrainingSet(items, [], kind, ())


@pytest.mark.parametrize(("hot", "kind"), [(0, "z-score"), (1, "z-score"), (2, "percentile"), (10, "percentile")])
def test_percentiles_are_taken_where_hot_pixels_make_the_standard_deviation(hot, kind):
    config, reasons = choose_normalization(IMAGES, with_hot_pixels(hot))
    assert config.train.normalization == kind
    assert "train.normalization" not in config.train.auto
    counted = f"in {hot} of 10 images few pixels make the standard deviation"
    plain = r"98.8 % of the pixels of an image span [45]\.\d standard deviations or more"
    assert re.fullmatch(counted if hot else plain, reasons["train.normalization"])


def test_normalisation_by_hand_and_that_of_images_to_draw_is_left_as_it_is():
    given = IMAGES.updated({"train.normalization": "z-score"})
    assert choose_normalization(given, with_hot_pixels(10)) == (given, {})
    drawn, reasons = choose_normalization(IMAGES, with_hot_pixels(10, kind="images"))
    assert drawn.train.normalization == "z-score"
    assert reasons["train.normalization"] == "the default where there are target images"


def test_of_classes_the_defaults_are_taken_and_listed():
    config, reasons = choose_settings(IMAGES, replace(CELLS, objects=0))
    assert (config.model.depth, config.train.patch, config.train.batch) == (4, 256, 2)
    assert reasons["model.depth"] == "the default, that of the paper: classes have no size"
    assert reasons["train.patch"] == "the default: classes have no size"
    assert reasons["train.batch"] == "the default"
    given, reasons = choose_settings(IMAGES.updated({"train.patch": 64, "model.depth": 3}), replace(CELLS, objects=0))
    assert (given.train.patch, given.model.depth) == (64, 3)
    assert not {"train.patch", "model.depth"} & set(reasons)


def test_a_patch_that_objects_leave_as_it_is_has_a_reason_too():
    config, reasons = choose_settings(IMAGES.updated({"model.coarse": 1}), replace(CELLS, diameter=170.0))
    assert (config.train.patch, config.train.batch) == (256, 2)
    assert reasons["train.patch"] == "an object of 170 px fits in"
    assert reasons["train.batch"] == "the default"


def test_classes_made_of_objects_are_as_rare_as_these():
    levels = (0.9, 0.06, 0.03, 0.01)
    config, _ = choose_settings(IMAGES, replace(CELLS, shares=levels))
    assert (config.train.class_balance, config.train.oversample) == (False, 0.33)
    config, reasons = choose_settings(IMAGES, replace(CELLS, shares=levels, objects=0))
    assert (config.train.class_balance, config.train.oversample) == (True, 0.33)
    assert reasons["train.oversample"] == "class 3 has only 1.0% of the pixels"


def test_patches_are_drawn_for_objects_that_fill_less_than_half():
    config, reasons = choose_settings(IMAGES, replace(CELLS, shares=(0.8, 0.15, 0.05)))
    assert (config.train.oversample, reasons["train.oversample"]) == (0.33, "objects have only 20.0% of the pixels")
    for filled in (replace(CELLS, shares=(0.5, 0.3, 0.2)), replace(CELLS, shares=(0.8, 0.2), objects=0)):
        assert choose_settings(IMAGES, filled)[0].train.oversample == 0


def test_border_weights_where_objects_touch_and_balance_where_a_class_is_rare():
    separate, _ = choose_settings(IMAGES, CELLS)
    assert (separate.train.border_weight, separate.train.class_balance) == (0, False)
    close, _ = choose_settings(IMAGES, replace(CELLS, touching=0.2, shares=(0.97, 0.03)))
    assert (close.train.border_weight, close.train.class_balance, close.train.oversample) == (5, True, 0.33)
    parts, _ = choose_settings(IMAGES, replace(CELLS, touching=0.2, objects=0))
    assert parts.train.border_weight == 2


def test_the_sliding_window_learns_from_balanced_pixels_unless_set_otherwise():
    window = IMAGES.updated({"model.name": "sliding-window"})
    for found in (CELLS, replace(CELLS, objects=0)):
        config, reasons = choose_settings(window, found)
        assert (config.train.class_balance, config.model.padding) == (True, "same")
        assert reasons["train.class_balance"] == "classes count alike, as in Ciresan et al. 2012"
    given, reasons = choose_settings(window.updated({"train.class_balance": False}), CELLS)
    assert not given.train.class_balance
    assert "train.class_balance" not in reasons


def test_thick_slices_are_pooled_later():
    config, reasons = choose_settings(VOLUMES, STACK)
    assert config.model.pooling == ((1, 2, 2), (1, 2, 2), (2, 2, 2))  # 5:1, 5:2, 5:4
    assert "5.0 times as thick" in reasons["model.pooling"]
    assert config.train.patch_z < config.train.patch


def test_a_given_depth_has_as_many_poolings():
    config, _ = choose_settings(VOLUMES.updated({"model.depth": 2}), STACK)
    assert config.model.pooling == ((1, 2, 2), (1, 2, 2))


def test_cubes_are_pooled_evenly_in_patches_of_the_promised_size():
    config, reasons = choose_settings(VOLUMES, replace(STACK, spacing=None, median=(256, 256, 256)))
    assert config.model.pooling is None
    assert "model.pooling" not in reasons
    assert config.train.patch == config.train.patch_z == 48
    assert config.train.batch == 1


def test_what_was_set_by_hand_stays_and_nothing_is_left_to_choose_twice():
    given = IMAGES.updated({"model.depth": 3, "train.border_weight": 1.0})
    config, reasons = choose_settings(given, replace(CELLS, diameter=150.0, touching=1.0))
    assert (config.model.depth, config.train.border_weight) == (3, 1)
    assert not {"model.depth", "train.border_weight"} & set(reasons)
    assert config.train.auto == ("model.width",)
    assert choose_settings(RunConfig(), replace(CELLS, touching=1.0)) == (RunConfig(), {})


def test_walls_between_cells_count_as_gaps_where_labels_are_classes():
    wall = np.ones((20, 20), np.int32)
    wall[:, 9:12] = 0
    found = Fingerprint.of(TrainingSet([objects(wall)], [], "classes", ()))
    assert (found.objects, found.touching) == (0, 1.0)
    whole = Fingerprint.of(TrainingSet([objects(np.ones((20, 20), np.int32))], [], "classes", ()))
    assert whole.touching == 0.0


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_thick_slices_are_pooled_at_a_depth_that_was_given(depth):
    config, reasons = choose_settings(VOLUMES.updated({"model.depth": depth}), STACK)
    assert len(config.model.pooling or ()) in (0, depth)
    assert config.model.depth == depth
    assert "model.depth" not in reasons
    choose_settings(VOLUMES.updated({"model.depth": depth}), replace(STACK, median=(2, 8, 8)))
