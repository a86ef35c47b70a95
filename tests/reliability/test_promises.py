"""docs/reliability.md: every promise names tests, and every test that it names is there."""

import re

from tests.conftest import ROOT

TEXT = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")


def test_every_test_that_is_named_exists():
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)
    assert len(named) > 15
    for path, name in named:
        assert re.search(rf"^def {name}\(", (ROOT / path).read_text(encoding="utf-8"), re.M), f"{path}::{name}"


def test_every_promise_names_a_proof():
    rows = re.findall(r"^\| promise \| proof \|\n\|---\|---\|\n((?:\|.*\n)+)", TEXT, re.M)
    assert rows
    for row in "".join(rows).splitlines():
        assert row.count("|") == 3 and "::test_" in row.split("|")[2], row
