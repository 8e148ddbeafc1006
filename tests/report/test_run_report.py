"""Tests of the report of a run: pictures and summary of the held-out images."""

import numpy as np
import torch
from torch import nn

from biounet.config.object_rules import ObjectRules
from biounet.core.geometry import Geometry
from biounet.data.annotated_image import AnnotatedImage
from biounet.report.run_report import found_with, pictures_of
from biounet.training.validation import Validation, predict, score

CPU = {"device": torch.device("cpu"), "precision": torch.float32}


class Odds(nn.Module):
    """Two classes: the image is the log odds of class 1."""

    geometry = Geometry((1, 1), (0, 0), (0, 0), padded=True)

    def forward(self, image):
        return torch.cat([torch.zeros_like(image), image], dim=1)


def validate(validation):
    return score(predict(Odds(), validation), validation)


def test_pictures_have_objects_where_there_are_rules_else_classes():
    cells = np.array([[1, 1, 0, 2, 2]])
    item = AnnotatedImage("a", np.where(cells > 0, 9.0, -9.0).astype(np.float32)[None], cells, np.minimum(cells, 1))
    numbered = Validation([item], **CPU, rules=ObjectRules())
    result = validate(numbered)
    (picture,) = pictures_of(numbered, result, 2)
    assert picture.kind == "objects"
    assert picture.truth is item.labels
    assert picture.result is result.objects[0]
    sentence = found_with(result.per_image, ObjectRules(seed=0.6))
    assert sentence.startswith("2 of 2 found, with foreground 0.5, seed 0.6, least")
    assert list(pictures_of(numbered, result.without_arrays(), 2)) == []
    classes = Validation([item], **CPU)
    (picture,) = pictures_of(classes, validate(classes), 2)
    assert picture.kind == "classes"
    assert picture.truth is item.target
