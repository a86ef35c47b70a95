"""Imports point down, without exceptions: tools, localization_cues -> training -> dsrg -> the engine and the CRF."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CRF = {"krahenbuhl2013", "densecrf"}
CAFFE = {"caffe"}
OURS = {"tools", "localization_cues", "training", "dsrg", "pylayers", "benchmarks", "docker"} | CRF | CAFFE


def imports(folder):
    """(file, module) of every import below `folder`, those inside functions too; modules with their full name."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from ((path, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                # `from dsrg import io` is an import of dsrg.io where that is a module
                yield from ((path, _full_name(node.module, alias.name)) for alias in node.names)


def _full_name(module, name):
    path = ROOT / module.replace(".", "/") / name
    return f"{module}.{name}" if path.is_dir() or path.with_suffix(".py").is_file() else module


@pytest.mark.parametrize(
    "folder, allowed",
    [
        ("CRF/python", CRF),
        ("engine/caffe", CAFFE),
        ("dsrg/io", {"dsrg.io"}),
        ("dsrg/cuefile", {"dsrg.cuefile", "dsrg.io"}),
        ("dsrg/supervision", {"dsrg.supervision", "dsrg.io"} | CRF),
        ("dsrg/saliency", {"dsrg.saliency", "dsrg.io"}),
        ("dsrg/datasets", {"dsrg.datasets", "dsrg.io"}),
        ("dsrg/datacheck", {"dsrg.datacheck", "dsrg.datasets", "dsrg.cuefile", "dsrg.io"}),
        ("dsrg", {"dsrg"} | CAFFE | CRF),
        ("training", {"training", "pylayers", "dsrg"} | CAFFE | CRF),
        ("localization_cues", {"localization_cues", "training", "dsrg"} | CAFFE),
        ("tools", {"tools", "training", "dsrg"} | CAFFE | CRF),
    ],
)
def test_a_package_imports_only_what_it_builds_on(folder, allowed):
    found = list(imports(folder))
    assert found, f"no imports below {folder}"
    wrong = [
        f"{path.relative_to(ROOT)}: {module}"
        for path, module in found
        if module.split(".")[0] in OURS and not any(module == name or module.startswith(name + ".") for name in allowed)
    ]
    assert wrong == []
