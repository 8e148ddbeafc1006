"""A batch notes the errors of its files, and raises one error for all."""

import pickle
from pathlib import Path

import pytest

from biounet.core.batch import Batch
from biounet.core.errors import BatchError, ImageError, LabelError, OutputError, ShapeError


def run(errors):
    """Work on a file for each error; None is a file that is right."""
    batch = Batch(len(errors), verb="read", again="--resume")
    for number, error in enumerate(errors):
        with batch.noting(Path(f"{number}.tif")):
            if error is not None:
                raise error
    return batch


def test_several_failures_have_a_line_each_and_one_error():
    bad = [ImageError("1.tif is torn"), ShapeError("3 channels"), LabelError("no labels"), ImageError("4.tif is torn")]
    lines = []
    with pytest.raises(BatchError) as caught:
        run([None, *bad]).finish([Path("0.out")], report=lines.append)
    assert lines == ["1.tif is torn", "2.tif: 3 channels", "3.tif: no labels", "4.tif is torn"]
    assert str(caught.value) == (
        "4 of 5 images could not be read: 1.tif, 2.tif, 3.tif, ...; put them right and run again with --resume"
    )
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):
        assert list(error.failures) == [Path(f"{number}.tif") for number in (1, 2, 3, 4)]
        assert [str(each) for each in error.failures.values()] == [str(each) for each in bad]
        assert error.done == [Path("0.out")]


def test_a_single_file_is_no_batch():
    with pytest.raises(ImageError, match="torn"):
        run([ImageError("torn")])


def test_errors_that_are_not_of_one_file_end_the_batch():
    with pytest.raises(OutputError, match="disk"):
        run([None, OutputError("the disk is full"), None])


def test_a_batch_without_failures_ends_in_silence():
    lines = []
    run([None, None]).finish(report=lines.append)
    assert not lines
