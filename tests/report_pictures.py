"""Small pictures, and rows of a log, for tests of reports."""

import numpy as np

from biounet.report import Picture


def classes_picture(name="a.tif", *, size=(12, 16), classes=2, scores=None, **changes):
    rng = np.random.default_rng(0)
    given = {
        "image": rng.integers(0, 255, size),
        "truth": rng.integers(0, classes, size),
        "result": rng.integers(0, classes, size),
        "kind": "classes",
        "scores": {"score": 0.5} if scores is None else scores,
        "probability": rng.random(size, np.float32) if classes == 2 else None,
        "classes": classes,
    }
    return Picture(name, **(given | changes))


def objects_picture(truth, result, name="a.tif", **changes):
    result = np.array(result)
    truth = None if truth is None else np.array(truth)
    given = {"image": np.zeros(result.shape), "truth": truth, "result": result, "kind": "objects", "scores": {}}
    return Picture(name, **(given | changes))


def row(step, *, loss=0.5, score=0.5, best=0, **others):
    fixed = {"step": step, "seconds": 2.0 * step, "loss": loss, "learning_rate": 0.003, "score": score, "best": best}
    return fixed | others
