"""StarDist as its example notebook trains it: its augmentation, 15 % of the images for validation, tuned thresholds."""

import importlib.metadata
from functools import partial

import keras
import numpy as np
import tensorflow as tf
from csbdeep.utils import normalize
from program import processor_seconds, run, training_pairs
from stardist import fill_label_holes
from stardist.models import Config2D, StarDist2D

STEPS_PER_EPOCH = 20
"""Instead of 100, so that the rule by which the learning rate falls has epochs to look at."""
PATIENCE = 4
"""Epochs without progress before the learning rate is halved: a tenth of those that fit, as 40 is of the usual 400."""


class Stop(keras.callbacks.Callback):
    """An end of training once its time is used up, and a count of the updates."""

    def __init__(self, seconds):
        super().__init__()
        self.end, self.updates = processor_seconds() + seconds, 0

    def on_train_batch_end(self, batch, logs=None):  # noqa: D102
        self.updates += 1
        self.model.stop_training = processor_seconds() > self.end


def augmented(rng, image, labels):
    """The augmentation of the notebook: flips, turns, brightness and noise."""
    turns, axes = rng.integers(4), tuple(np.flatnonzero(rng.random(2) < 0.5))
    image, labels = (np.flip(np.rot90(array, turns), axes) for array in (image, labels))
    image = image * rng.uniform(0.6, 2) + rng.uniform(-0.2, 0.2)
    return image + 0.02 * rng.random() * rng.normal(size=image.shape), labels


def prepared(image):
    return normalize(image, 1, 99.8)


def train(folder, seconds):
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    images, labels = training_pairs(folder)
    pairs = list(zip(map(prepared, images), map(fill_label_holes, labels), strict=True))
    pairs = [pairs[at] for at in rng.permutation(len(pairs))]
    held_out = round(0.15 * len(pairs))
    (x_held_out, y_held_out), (x, y) = zip(*pairs[:held_out], strict=True), zip(*pairs[held_out:], strict=True)
    rule = {"factor": 0.5, "patience": PATIENCE, "min_delta": 0}
    config = Config2D(n_rays=32, grid=(2, 2), train_reduce_lr=rule, train_tensorboard=False)
    model = StarDist2D(config, name="run", basedir=str(folder / "stardist"))
    model.prepare_for_training()
    stop = Stop(seconds)
    model.callbacks.append(stop)
    options = {"epochs": 10_000, "steps_per_epoch": STEPS_PER_EPOCH, "augmenter": partial(augmented, rng)}
    model.train(x, y, validation_data=(x_held_out, y_held_out), **options)
    model.optimize_thresholds(x_held_out, y_held_out)
    versions = {name: importlib.metadata.version(name) for name in ("stardist", "tensorflow-cpu")}
    return lambda image: model.predict_instances(prepared(image))[0], {"updates": stop.updates, "versions": versions}


if __name__ == "__main__":
    run(train)
