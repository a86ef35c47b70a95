"""The documents that list the files of a folder list all of them."""

import re

import pytest

from tests.conftest import ROOT

#: a document, the folder it lists, what its entries are
TABLES = (
    ("tools/README.md", "tools", "*.py"),
    ("training/README.md", "training", "*.py"),
    ("localization_cues/README.md", "localization_cues", "*.py"),
    ("docker/README.md", "docker", "*.py"),
    ("benchmarks/README.md", "benchmarks", "*.py"),
    ("docs/design.md", "dsrg/pipeline", "*.py"),
    ("dsrg/README.md", "dsrg", "*.py"),
    ("dsrg/README.md", "dsrg", "*/__init__.py"),
    ("docs/design.md", "dsrg", "*/__init__.py"),
)


@pytest.mark.parametrize(("document", "folder", "entries"), TABLES, ids=lambda value: value.replace("/", "-"))
def test_every_file_of_the_folder_is_named(document, folder, entries):
    words = set(re.findall(r"[\w.]+", (ROOT / document).read_text(encoding="utf-8")))
    there = [path for path in sorted((ROOT / folder).glob(entries)) if entries != "*.py" or path.stem != "__init__"]
    assert len(there) > 3
    if entries == "*.py":
        missing = [path.name for path in there if not {path.name, f"{folder}.{path.stem}"} & words]
    else:
        missing = [path.parent.name for path in there if path.parent.name not in words]
    assert not missing, f"{document}: say what they are"
