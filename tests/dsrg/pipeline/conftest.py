"""A miniature run for the tests of the stage runner."""

import pytest

from tests.dsrg.pipeline.miniature import Miniature


@pytest.fixture
def toy(tmp_path):
    return Miniature(tmp_path)
