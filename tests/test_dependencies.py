"""Imports go one way: tools and localization_cues to training, training to the engine and the CRF.

One exception: AnnotationLayer reads the cue file by localization_cues.format.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CRF = {"krahenbuhl2013", "densecrf"}
CAFFE = {"caffe"}
OURS = {"tools", "localization_cues", "training", "pylayers", "prototxts", "benchmarks"} | CRF | CAFFE


def imports(folder):
    """(file, module) of every import below `folder`, those inside functions too; modules with their full name."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from ((path, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                yield path, node.module


@pytest.mark.parametrize(
    "folder, allowed",
    [
        ("CRF/python", CRF),
        ("engine/caffe", CAFFE),
        ("training/supervision", {"training"} | CRF),
        ("training", {"training", "pylayers", "localization_cues.format"} | CAFFE | CRF),
        ("localization_cues", {"localization_cues", "tools", "training"} | CAFFE),
        ("tools", {"tools", "localization_cues", "training", "prototxts"} | CAFFE | CRF),
    ],
)
def test_a_package_imports_only_what_it_builds_on(folder, allowed):
    found = list(imports(folder))
    assert found, f"no imports below {folder}"
    wrong = [
        f"{path.relative_to(ROOT)}: {module}"
        for path, module in found
        if module.split(".")[0] in OURS and module not in allowed and module.split(".")[0] not in allowed
    ]
    assert wrong == []
