"""The titles of docs/troubleshooting.md are messages of the source, word for word; `..` stands for what varies."""

import ast
import re

import pytest

from tests.conftest import ROOT

FOLDERS = ("dsrg", "training", "tools", "localization_cues", "engine/caffe", "docker")
TITLES = re.findall(r"^### `(.+)`$", (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8"), re.MULTILINE)
GAP = "\0"      # in a message's text: what the program fills in


@pytest.fixture(scope="module")
def messages():
    """All strings of the source, f-strings and joined literals whole, GAP for each {..}; shell scripts' echoes."""
    found = set()
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.Expr):      # a docstring is no message
                    found |= {template(child) for child in ast.iter_child_nodes(node)}
    for name in ("setup.sh", "run.sh"):
        script = (ROOT / name).read_text(encoding="utf-8")
        said = re.findall(r'echo "(.*?)"(?: >&2|;|$)', script, re.MULTILINE)
        said += [f"error: {text}" for text in re.findall(r'fail "(.*)"', script)]       # setup.sh's function for errors
        found |= {re.sub(r"\$\(.*?\)|\$\{.*?\}|\$\w+", GAP, text) for text in said}
    return found - {None}


def template(node):
    """The text of a string node, or None."""
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else GAP for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def matches(title, text):
    """Whether a message holds the words of a title in their order, something filled in where `..` is between them."""
    pieces = [re.escape(piece) for piece in title.strip(".").split("..")]
    return re.search(f"[^{GAP}]*?{GAP}.*?".join(pieces), text, re.DOTALL) is not None


@pytest.mark.parametrize("title", TITLES)
def test_a_title_is_a_message_of_the_source(title, messages):
    assert any(matches(title, text) for text in messages), f"no message of the source reads '{title}'"


def test_there_are_titles_and_wrong_ones_are_noticed(messages):
    assert len(TITLES) > 25 and len(messages) > 1000
    assert not any(matches("no such message as .. this one", text) for text in messages)
    assert matches("a .. c; do d", f"a {GAP} c; do d or e") and not matches("a .. c; do d", f"a {GAP} c; do e")
    assert not matches("a .. c", "a b c") and matches(".. c; d ..", f"{GAP} c; d {GAP}")
