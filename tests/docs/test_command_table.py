"""README's table of commands: every command is a row, every row is a command."""

import ast
import re

from tests.conftest import ROOT

FOLDERS = ("tools", "training", "localization_cues", "benchmarks", "docker")


def is_command(path):
    """Whether a module is there to be typed: `if __name__ == "__main__":` at its end, and a parser with --help."""
    text = path.read_text(encoding="utf-8")
    parsed = "argparse" in text or "command_parser" in text
    return parsed and any(isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"
                          for node in ast.parse(text).body)


def commands():
    """Names of all modules that are commands."""
    modules = (path.relative_to(ROOT).with_suffix("") for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")
               if is_command(path))
    names = {".".join(path.parts).removesuffix(".__main__") for path in modules}
    return sorted(name for name in names if name.rpartition(".")[0] not in names)     # not the parts of a command


def table():
    """(module, sentence) of every row."""
    chapter = (ROOT / "README.md").read_text(encoding="utf-8").split("\n## Commands\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `python -m ([\w.]+)` \| (.+) \|$", chapter, re.MULTILINE)


def test_every_command_has_one_row_and_every_row_is_a_command():
    rows = [module for module, _ in table()]
    assert len(commands()) > 30
    assert sorted(rows) == sorted([*commands(), "caffe"]), "README.md, Commands: a row for each command, no other"


def test_a_row_says_in_a_line_what_the_command_does():
    assert [sentence for _, sentence in table() if not 10 < len(sentence) < 130] == []
