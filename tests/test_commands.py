"""What all commands do alike: results to stdout, notes to stderr, --json, --quiet, examples, completion, status."""

import ast
import importlib
import io
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from dsrg.cuefile.format import save_cues
from dsrg.cuefile.label_map import cues_from_map
from dsrg.io import command_line, terminal
from dsrg.io.errors import note, run_main, warn
from dsrg.io.label_png import save_label_png
from dsrg.io.progress_bar import progress
from tests.conftest import PATIENCE, ROOT
from tests.parsers import parser_of, subparsers
from tests.test_documents import check_words
from tests.test_documents import commands as commands_in

SOURCES = [path for name in ("tools", "localization_cues", "training") for path in sorted((ROOT / name).glob("*.py"))]
COMMANDS = [f"{path.parent.name}.{path.stem}" for path in SOURCES if "command_parser(" in path.read_text("utf-8")]
#: files that may write to stderr by themselves, and why
WRITERS = {
    "dsrg/io/errors.py": "errors, warnings and notes",
    "dsrg/io/progress_bar.py": "progress",
    "tools/inspect_net.py": "findings, as compilers write them: FILE:LINE: error: ..",
    "tools/make_nets.py": "what --check found",
    "tools/run.py": "how to go on after a signal, on two lines",
}


def parser(module):
    return parser_of(importlib.import_module(module))


@pytest.mark.parametrize("module", COMMANDS)
def test_a_command_has_examples_that_its_parser_takes_and_the_common_flags(module, tmp_path, capsys):
    found = parser(module)
    shown = found.format_help()
    assert not re.search(r"default:? [(\[{]", shown), "a default is shown as it is typed"
    assert "--quiet" in shown and "--traceback" in shown
    for each in subparsers(found).values():
        assert "--quiet" in each.format_help()
    (tmp_path / "epilog.md").write_text("x\n\n" + (found.epilog or ""))
    examples = [words for _, words in commands_in(tmp_path / "epilog.md") if words[:3] == ["python", "-m", module]]
    assert examples, f"{module} --help shows no example"
    for words in examples:
        try:
            check_words(found, words[3:])
        except SystemExit:
            pytest.fail(f"{words}: {capsys.readouterr().err}")


@pytest.mark.parametrize("module", COMMANDS)
def test_help_asks_no_caffe(module, monkeypatch):
    """Which says on stderr what it is, and takes seconds."""
    monkeypatch.delitem(sys.modules, "training.findcaffe", raising=False)
    parser(module)
    assert "training.findcaffe" not in sys.modules


@pytest.mark.parametrize(("module", "words", "name", "values"), [
    ("tools.segment", ["work/demo", "--stage", "s", "a.jpg", "--out", "o", "b"], "photos", ["a.jpg", "b"]),
    ("tools.report", ["a", "--photos", "0", "b"], "runs", ["a", "b"]),
    ("tools.compare", ["a", "--out", "x", "b"], "runs", ["a", "b"]),
    ("tools.watch", ["a", "--once", "b"], "runs", ["a", "b"]),
])
def test_options_may_stand_between_photos_or_runs(module, words, name, values):
    found = importlib.import_module(module).parse_args(words)
    assert [str(path) for path in getattr(found, name)] == values


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_command_is_marked_for_completion(path):
    """argcomplete asks only programs whose first kilobyte says so."""
    text = path.read_text("utf-8")
    assert ("command_parser(" in text) == text.startswith("# PYTHON_ARGCOMPLETE_OK\n")


def test_a_shell_completes_options(tmp_path):
    """What bash sends for `python -m tools.evaluate --pr<TAB>`, and that nothing of it is loaded otherwise."""
    line = "python -m tools.evaluate --pr"
    env = {**os.environ, "_ARGCOMPLETE": "3", "COMP_LINE": line, "COMP_POINT": str(len(line)), "COMP_TYPE": "9",
           "_ARGCOMPLETE_STDOUT_FILENAME": str(tmp_path / "said"), "_ARGCOMPLETE_IFS": "\n"}
    subprocess.run([sys.executable, "-m", "tools.evaluate"], cwd=ROOT, env=env, timeout=PATIENCE, check=True)
    assert (tmp_path / "said").read_text().strip() == "--pred"
    code = "import sys; from tools import evaluate\ntry: evaluate.main(['--help'])\nexcept SystemExit: pass\n" \
           "assert 'argcomplete' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, timeout=PATIENCE, check=True)


def test_nothing_else_writes_to_stderr_or_asks_what_it_is():
    """So that --quiet and NO_COLOR hold everywhere."""
    writers, asking = set(), set()
    for folder in ("dsrg", "tools", "localization_cues", "training"):
        for path in (ROOT / folder).rglob("*.py"):
            name, text = str(path.relative_to(ROOT)), path.read_text("utf-8")
            writers |= {name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.keyword)
                        and node.arg == "file" and ast.unparse(node.value) == "sys.stderr"}
            asking |= {name} if "isatty" in text else set()
    assert writers == set(WRITERS)
    assert asking == {"dsrg/io/terminal.py"}


def test_the_table_of_exit_status_is_whole():
    table = dict(re.findall(r"^\| (\d+) \| (.*) \|$", (ROOT / "tools/README.md").read_text("utf-8"), re.MULTILINE))
    assert {int(number) for number in table} == set(command_line.EXIT_STATUS)
    for number, text in command_line.EXIT_STATUS.items():
        assert re.findall(r"\w+", table[str(number)])[:2] == re.findall(r"\w+", text)[:2]


@pytest.mark.parametrize(("main", "status"), [(lambda argv: None, 0), (lambda argv: 1, 1)])
def test_status_of_a_command_that_ends(main, status):
    with pytest.raises(SystemExit) as stop:
        run_main(main, [])
    assert stop.value.code == status


@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize("module", COMMANDS)
def test_help_and_results_that_cannot_be_written_are_an_error(module, buffered, capsys, monkeypatch):
    """argparse passes over it, and Python, which tries again while it ends, says so in two lines of its own."""
    with open("/dev/full", "wb", buffering=0) as full:
        stdout = io.TextIOWrapper(io.BufferedWriter(full) if buffered else full, write_through=not buffered)
        monkeypatch.setattr(sys, "stdout", stdout)
        with pytest.raises(SystemExit) as stop:
            run_main(importlib.import_module(module).main, ["--help"])
        stdout.flush()      # nothing is left that could fail once more
    assert stop.value.code == 1
    assert capsys.readouterr().err == ("error: output cannot be written: No space left on device; free space or write "
                                       "to another folder\n")


def test_ctrl_c_and_unknown_arguments():
    def interrupted(argv):
        raise KeyboardInterrupt

    for main, argv, status in ((interrupted, [], 130), (importlib.import_module("tools.evaluate").main, ["--no"], 2)):
        with pytest.raises(SystemExit) as stop:
            run_main(main, argv)
        assert stop.value.code == status


def test_quiet_leaves_out_notes_and_progress_and_no_warning(capsys):
    found = command_line.command_parser("tools.x", "Says.\n\n    python -m tools.x\n")
    found.parse_args(["--quiet"])
    note("note: heard")
    warn("warning: wrong")
    assert list(progress(range(3), "work")) == [0, 1, 2]
    assert capsys.readouterr().err == "warning: wrong\n"
    command_line.command_parser("tools.x", "Says.")     # the next command of the process begins afresh
    note("note: heard")
    assert capsys.readouterr().err == "note: heard\n"


def test_a_run_is_quiet_in_its_stages(monkeypatch):
    monkeypatch.setenv("QUIET", "1")
    command_line.command_parser("tools.x", "Says.")
    assert terminal.is_quiet()


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_colours_are_for_terminals_without_no_color(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys, "stderr", Terminal())
    warn("w")
    assert sys.stderr.getvalue() == "\033[1;33mwarning:\033[0m w\n"
    for name, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            assert terminal.styled("error:", "error") == "error:"
    assert terminal.styled("error:", "error", io.StringIO()) == "error:"
    terminal.be_quiet()
    assert not terminal.shows_bars()


@pytest.fixture
def material(tmp_path, monkeypatch):
    """Maps, truth, lists and cues of two photos; chdir there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENGINE", "embedded")
    for k in range(2):
        labels = np.zeros((9, 9), np.uint8)
        labels[2:6, 2:5 + k] = 1
        save_label_png(f"gt/{k}.png", labels)
        save_label_png(f"pred/{k}.png", np.maximum(labels, labels.T))
    (tmp_path / "ids.txt").write_text("0\n1\n")
    (tmp_path / "list.txt").write_text("0.jpg 0\n1.jpg 1\n")
    (tmp_path / "classes.txt").write_text("background\ncow\n")
    cells = np.full((3, 3), -1)
    cells[1, 1], cells[0, 0] = 1, 0
    save_cues(tmp_path / "c.npz", {k: ([1], cues_from_map(cells)) for k in range(2)})
    return tmp_path


#: commands with --json: arguments on `material`, and what must hold of the value
JSON = {
    "tools.evaluate": (["--pred", "pred", "--gt", "gt", "--list", "ids.txt", "--classes", "classes.txt"],
                       lambda value: value["images"] == 2 and 0.5 < value["miou"] < 1),
    "tools.inspect_net": ([str(ROOT / "prototxts/demo/deploy.prototxt")],
                          lambda value: value["params"] == sum(row["params"] for row in value["layers"]) > 0
                          and value["findings"] == []),
    "localization_cues.inspect_cues": (["c.npz"], lambda value: value["images"] == 2),
    "localization_cues.evaluate_cues": (["--cues", "c.npz", "--list", "list.txt", "--masks", "gt", "--classes",
                                         "classes.txt", "--size", "3", "3"],
                                        lambda value: value["size"] == [3, 3] and value["classes"][1]["coverage"] > 0),
}
#: tried where their material is: tests/tools/test_compare.py, test_segment_run.py and so on
ELSEWHERE = {"tools.check_data", "tools.compare", "tools.segment", "tools.watch",
             "localization_cues.classifier_quality", "localization_cues.drfi"}


@pytest.mark.parametrize("module", JSON)
def test_json_is_all_of_stdout(material, module, capsys):
    arguments, holds = JSON[module]
    assert not importlib.import_module(module).main([*arguments, "--json", "--quiet"])
    shown = capsys.readouterr()
    assert holds(json.loads(shown.out)), shown.out
    assert shown.err == ""


def test_every_command_with_json_is_tried_and_documented():
    having = set()
    for module in COMMANDS:
        found = parser(module)
        if any("--json" in each._option_string_actions for each in (found, *subparsers(found).values())):
            having.add(module)
    assert having == {*JSON, *ELSEWHERE}
    line = re.search(r"`--json` prints.*?\.\n", (ROOT / "tools/README.md").read_text("utf-8"), re.DOTALL)[0]
    assert {name.split(".")[1] for name in having} <= set(re.findall(r"`(\w+)", line))
