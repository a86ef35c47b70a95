"""The examples in the docstrings of the maths hold."""

import doctest

import pytest

from dsrg.io import param_str
from dsrg.supervision import annotation, region_growing


@pytest.mark.parametrize("module", [annotation, param_str, region_growing])
def test_examples_in_docstrings(module):
    result = doctest.testmod(module)
    assert result.attempted > 0 and result.failed == 0
