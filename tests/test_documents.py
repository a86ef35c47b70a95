"""Every command in every document, as written: the module is there and takes the options; scripts run from any shell.

Commands are the lines of code blocks, and code within the text, that start with python, bash or a variable before them.
Words that stand for the reader's own (.., N, FILE) are filled in by kind.
"""

import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from tests.conftest import PATIENCE, ROOT
from tests.parsers import PACKAGES, parser_of, subparsers
from training.shared_flags import not_negative, positive

DOCUMENTS = [path for path in sorted(ROOT.rglob("*.md"))
             if not {".venv", ".pytest_cache", "build", "work", "stale"} & set(path.relative_to(ROOT).parts)]
ASSIGNMENT = re.compile(r"[A-Z_]+=\S*")
COPIES = ("sure", "expand", "squeeze")    # experiments that docs/editing-prototxts.md makes
OMITTED = {"..", "...", "…"}       # "and what else it needs": options are checked, the whole is not


def commands(path):
    """(line number, words) of every command of a document; continued lines are joined."""
    text = path.read_text(encoding="utf-8")
    for match in re.finditer(r"^(?: {4}|\t)(\S(?:.*\\\n)*.*)$", text, re.MULTILINE):
        yield from _command(text, match.start(), match[1])
    for block in re.finditer(r"^```(?:sh|bash|shell|console)?\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for match in re.finditer(r"^(\S(?:.*\\\n)*.*)$", block[1], re.MULTILINE):
            yield from _command(text, block.start(), match[1])
    for match in re.finditer(r"`((?:[A-Z_]+=\S* )*(?:python|bash) [^`]+)`", text):
        yield from _command(text, match.start(), match[1])


def _command(text, position, line):
    line = line.replace("\\\n", " ").replace("\n", " ")
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return
    for part in _parts(words):
        while part and ASSIGNMENT.fullmatch(part[0]):
            part = part[1:]
        if part and part[0] in ("python", "bash") and len(part) > 1:
            yield text.count("\n", 0, position) + 1, part


def _parts(words):
    """The commands of a line: `a && b`, `a; b`, `a | b`, `a > file`."""
    part, skipping = [], False
    for word in words:
        if word in ("&&", ";", "|", "||") or word.endswith(";"):
            yield part + ([word[:-1]] if word.endswith(";") and word != ";" and not skipping else [])
            part, skipping = [], False
        elif word in (">", "2>", ">>", "<", "&"):
            skipping = True
        elif not skipping:
            part.append(word)
    yield part


ALL = [pytest.param(path, line, words, id=f"{path.relative_to(ROOT)}:{line}-{n}")
       for path in DOCUMENTS for n, (line, words) in enumerate(commands(path))]


def filled(word, action):
    """A value for a word that stands for the reader's: a number where the option takes one."""
    numbers = (int, float, positive, not_negative)
    if action is not None and action.type in numbers and not re.fullmatch(r"-?[\d.]+", word):
        return "1"
    return word


def check_words(parser, words):
    """SystemExit or AssertionError where the parser does not take the words."""
    choices = subparsers(parser)
    if choices and words and words[0] in choices:
        parser, words = choices[words[0]], words[1:]
    words = [word.strip("[]") for word in words]
    options = parser._option_string_actions
    known = []
    for n, word in enumerate(words):
        if word.startswith("--"):
            name = word.split("=")[0]
            assert name in options, f"no option {name}; there are {', '.join(sorted(options))}"
        before = next((options[w] for w in reversed(words[:n]) if w in options), None)
        known.append(word if word.startswith("-") else filled(word, before))
    if known and not OMITTED & set(words):     # the name alone, within a sentence, is no command to type
        parser.parse_args(known)


@pytest.mark.parametrize(("path", "line", "words"), ALL)
def test_command_of_a_document_is_understood(path, line, words, capsys):
    if words[0] == "python":
        words = words[1:]
        if words[0] == "-m":
            if words[1].split(".")[0] not in PACKAGES or words[1].endswith(".NAME"):
                pytest.skip(f"{words[1]} is no command of the project's folders")
            assert (ROOT / (words[1].replace(".", "/") + ".py")).is_file() or \
                (ROOT / words[1].replace(".", "/") / "__main__.py").is_file(), f"no module {words[1]}"
            name = words[1] if (ROOT / (words[1].replace(".", "/") + ".py")).is_file() else f"{words[1]}.__main__"
            module = importlib.import_module(name)
            parser = parser_of(module, words[2:])
            try:
                check_words(parser, words[2:])
            except SystemExit as stop:
                assert stop.code in (0, None), f"{path}:{line}: {capsys.readouterr().err}"
        elif words[0].endswith(".py"):
            script = words[0].replace("/mine/", "/demo/")
            assert (ROOT / script).is_file() or "/" not in words[0], f"no script {words[0]}"
        return
    script = words[1]
    if "/" in script and not (ROOT / script).is_file():
        pytest.skip(f"{script} is the reader's own")
    assert (ROOT / script).is_file() or (path.parent / script).is_file(), f"no script {script}"
    if script == "run.sh":
        check_run(words[2:])


def check_run(words):
    """Arguments of run.sh: an experiment that is there (or the reader's), stages and options that its help names."""
    words = [word.strip("[]") for word in words]
    shown = subprocess.run(["bash", ROOT / "run.sh", "--help"], capture_output=True, text=True, timeout=PATIENCE).stdout
    for word in words:
        if word.startswith("--"):
            assert word.split("=")[0] in shown or word == "--help", f"run.sh takes no {word}"
    if words and not words[0].startswith("-") and words[0] not in ("NAME", "mine", "..", "EXPERIMENT", *COPIES):
        assert (ROOT / "prototxts" / words[0]).is_dir(), f"no experiment {words[0]}"
    if "--stages" in words:
        stages = words[words.index("--stages") + 1]
        if stages != "a,b,..":
            assert all(re.search(rf"\b{re.escape(stage)}\b", shown) for stage in stages.split(",")), stages


def test_the_documents_hold_commands():
    """A search that finds nothing would pass over everything."""
    found = [words for path in DOCUMENTS for _, words in commands(path)]
    assert sum(words[:2] == ["python", "-m"] for words in found) > 40
    assert sum(words[:2] == ["bash", "run.sh"] for words in found) > 8
    assert ["python", "-m", "tools.make_nets", "prototxts/mine"] in found
    assert ["python", "-m", "tools.segment", "work/mine", "photo.jpg", "~/other", "--out", "predictions"] in found


def test_checks_notice_what_is_wrong():
    from tools import evaluate

    parser = parser_of(evaluate)
    with pytest.raises(AssertionError, match="no option --predictions"):
        check_words(parser, ["--predictions", "a"])
    with pytest.raises(SystemExit):
        check_words(parser, ["--pred", "a"])
    with pytest.raises(AssertionError, match="no experiment nope"):
        check_run(["nope"])


@pytest.fixture
def clean():
    """The environment of a shell in which nothing was set."""
    return {"PATH": f"{os.path.dirname(sys.executable)}:/usr/bin:/bin", "HOME": "/nonexistent", "OMP_NUM_THREADS": "1"}


def test_make_nets_runs_from_a_clean_shell(clean, tmp_path):
    """Without PYTHONPATH, from the project's root, as the documents say; the folder of an experiment lies anywhere."""
    original = ROOT / "prototxts/demo"
    shutil.copytree(original, tmp_path / "demo")
    for path in (tmp_path / "demo").glob("*.prototxt"):
        path.unlink()
    command = [sys.executable, "-m", "tools.make_nets", str(tmp_path / "demo")]
    for words, status in ((["--check"], 1), ([], 0), (["--check"], 0)):
        done = subprocess.run([*command, *words], cwd=ROOT, env=clean, capture_output=True, text=True,
                              timeout=PATIENCE)
        assert done.returncode == status, done.stderr
    written = {path.name: path.read_text() for path in (tmp_path / "demo").glob("*.prototxt")}
    assert written == {path.name: path.read_text() for path in original.glob("*.prototxt")}


@pytest.mark.parametrize("module", sorted({words[2] for path in DOCUMENTS for _, words in commands(path)
                                           if words[:2] == ["python", "-m"] and words[2].split(".")[0] in PACKAGES
                                           and (ROOT / (words[2].replace(".", "/") + ".py")).is_file()}))
def test_help_comes_from_a_clean_shell(module, clean):
    """From the project's root, as the documents say, without PYTHONPATH."""
    done = subprocess.run([sys.executable, "-m", module, "--help"], cwd=ROOT, env=clean, capture_output=True, text=True,
                          timeout=PATIENCE)
    assert done.returncode == 0 and "usage: " in done.stdout, done.stderr
