"""Which files count as the source of a built package."""

import pytest

from dsrg.pipeline.code_digests import sources_of


@pytest.mark.parametrize("parent", ["checkout", "build"])
def test_what_is_built_counts_and_its_tests_and_products_do_not(parent, tmp_path):
    """Wherever the project lies: a folder above it that is called build makes nothing a product."""
    root = tmp_path / parent
    for name in ("CRF/src/lattice.cpp", "CRF/python/densecrf/__init__.py", "CRF/cpp_tests/blocks.cpp",
                 "CRF/build/ctest/made.cpp"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("")
    found = [str(path.relative_to(root)) for path in sources_of(["densecrf"], root)]
    assert found == ["CRF/python/densecrf/__init__.py", "CRF/src/lattice.cpp"]
