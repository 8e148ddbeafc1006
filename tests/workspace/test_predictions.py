"""Predictions in files: what was written is read again; facts that are damaged are refused."""

import numpy as np
import pytest

from biounet.core.boxes import Box
from biounet.core.errors import OutputError
from biounet.workspace.predictions import Prediction, load_prediction, save_prediction

LABELS, FOREGROUND = np.arange(6, dtype=np.int32).reshape(2, 3), np.full((2, 3), 7, np.uint8)


def test_a_prediction_is_read_as_it_was_written(tmp_path):
    doubtful = ((Box((1, 1), (2, 2)), 0.75),)
    written = Prediction("a", (1, 2), Box((0, 1), (2, 4)), 9, LABELS, FOREGROUND, 0.25, doubtful)
    save_prediction(tmp_path / "a.npz", written)
    read = load_prediction(tmp_path / "a.npz")
    assert read.facts == written.facts
    assert (read.plane, read.box, read.doubtful) == ((1, 2), Box((0, 1), (2, 4)), doubtful)
    assert (read.labels == LABELS).all()
    assert (read.foreground == FOREGROUND).all()


@pytest.mark.parametrize("facts", [b"", b"{", b"[]", b'{"image": "a"}', b"\xff", b"[" * 10_000])
def test_facts_that_are_damaged_are_refused_by_name(tmp_path, facts):
    np.savez(tmp_path / "a.npz", facts=np.frombuffer(facts, np.uint8), labels=LABELS, foreground=FOREGROUND)
    with pytest.raises(OutputError, match=r"a\.npz: facts"):
        load_prediction(tmp_path / "a.npz")


@pytest.mark.parametrize("content", [None, b"", b"PK torn", b"\x93NUMPY"])
def test_a_prediction_that_is_gone_or_torn_is_refused_by_name(tmp_path, content):
    if content is not None:
        (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(OutputError, match=r"a\.npz cannot be read"):
        load_prediction(tmp_path / "a.npz")
