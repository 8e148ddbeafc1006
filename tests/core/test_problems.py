"""Problems: one alone keeps its kind, several are told together, and each once."""

import pickle

import pytest

from biounet.core.errors import ConfigError, DatasetError, ImageError, ProblemsError, ShapeError
from biounet.core.problems import Problems


def met(*errors):
    problems = Problems()
    for error in errors:
        with problems.noting():
            raise error
    return problems


def test_no_problem_is_none():
    assert not Problems()
    Problems().finish("data")


def test_one_problem_is_raised_as_it_is():
    with pytest.raises(ShapeError, match=r"^a\.tif is small$"):
        met(ShapeError("a.tif is small"), ShapeError("a.tif is small")).finish("data")


def test_several_problems_are_one_error_that_lists_them():
    several = [ImageError(f"{name}.tif is torn") for name in "abcd"]
    with pytest.raises(DatasetError) as caught:
        met(*several).finish("data")
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):
        assert str(error) == "data: 4 problems: a.tif is torn; b.tif is torn; c.tif is torn; ..."
        assert [str(each) for each in error.problems] == [str(each) for each in several]
    both = met(caught.value, ShapeError("e.tif is small"))
    with pytest.raises(ProblemsError, match="5 problems"):
        both.finish("data")


def test_faults_that_are_not_of_files_end_the_work():
    with pytest.raises(ConfigError):
        met(ConfigError("no such setting"))
