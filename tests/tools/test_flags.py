"""No dead knobs: every flag of every command is read from the namespace that the command parsed."""

import argparse
import ast

import pytest

from dsrg.io.command_line import command_parser
from dsrg.pipeline.settings import UsageError
from tests.conftest import ROOT
from tests.namespaces import Reader, unread
from tests.parsers import command, commands, parser_of, subparsers


@pytest.mark.parametrize("name", commands())
def test_every_flag_is_read(name):
    parser = parser_of(command(name))
    choices = subparsers(parser)
    for sub in choices.values():
        assert unread(name, sub, sub.get_default("act")) == []
    # argparse itself reads the name of a subcommand
    assert [flag for flag in unread(name, parser) if not choices or flag != "command"] == []


@pytest.mark.parametrize("name", [name for name in commands() if not name.startswith(("benchmarks.", "docker."))])
def test_numbers_that_nothing_could_compute_with_are_refused_where_they_are_read(name):
    """int takes 30 digits and float takes nan: each ended in the traceback of whatever met it first."""
    parser = parser_of(command(name))
    for one in (parser, *subparsers(parser).values()):
        for action in one._actions:
            assert action.type not in (int, float), f"{action.dest}: give it a type of training/shared_flags.py"
            if action.type is None or not _takes_numbers(action.type):
                continue
            for text in ("nan", "inf", "-inf", "9" * 30, "-" + "9" * 30, "1e400"):
                with pytest.raises((argparse.ArgumentTypeError, ValueError)):
                    print(name, action.dest, action.type(text))


def _takes_numbers(kind):
    """Whether a type of a flag gives a number for a plain one."""
    for text in ("1", "0.5"):
        try:
            if isinstance(kind(text), int | float):
                return True
        except (argparse.ArgumentTypeError, ValueError):
            continue
    return False


CUES = ["--net", "n", "--weights", "w", "--list", "l", "--images", "i", "--labels", "b", "--out", "c.npz"]
DRFI = ["evaluate", "--images", "i", "--masks", "m", "--maps", "p"]
MAKE = ["--photos", "p", "--labels", "l", "--out", "o"]
#: options that nothing looks at where the others are as here: command, words that are fine, then what is refused
PASSED_OVER = [
    ("localization_cues.make_cues", [*CUES], ["--companion", "0.4"]),
    ("localization_cues.make_cues", [*CUES], ["--background-net", "n", "--background-weights", "w"]),
    ("localization_cues.make_cues", [*CUES], ["--background-blob", "conv3"]),
    ("localization_cues.make_cues", [*CUES, "--background", "cam-low:0.1"], ["--saliency-maps", "none/there"]),
    ("localization_cues.drfi", DRFI, ["--rows", "3"]),
    ("localization_cues.inspect_cues", ["c.npz"], ["--count", "3"]),
    ("localization_cues.inspect_cues", ["c.npz", "--list", "l"], ["--only", "a"]),
    ("localization_cues.inspect_cues", ["c.npz", "--list", "l", "--images", "i", "--draw", "d", "--only", "a"],
     ["--count", "3"]),
    *[("tools.inspect_net", ["a", "--diff", "b"], words) for words in (
        ["--weights", "w"], ["--input", "x=1,3,9,9"], ["--phase", "test"], ["--level", "1"], ["--stage", "s"],
        ["--strict"], ["--draw", "d.svg"])],
    *[("tools.make_dataset", [*MAKE, "--val-list", "v"], words) for words in (["--val", "0.3"], ["--seed", "1"])],
    *[("tools.make_dataset", MAKE, [word]) for word in ("--masks-stored", "--trust-masks", "--unused-classes")],
    *[("tools.report", ["run", "--page-only"], words) for words in (
        ["--photos", "2"], ["--sheets", "2"], ["--no-growth"], ["--device", "0"])],
    ("tools.report", ["run", "--no-growth"], ["--device", "0"]),
    ("tools.segment", ["run", "a.jpg", "--out", "o", "--no-crf"], ["--crf-scale", "2"]),
    ("tools.segment", ["run", "a.jpg", "--out", "o", "--no-crf"], ["--crf-backend", "pydensecrf"]),
    ("tools.segment", ["run", "--web"], ["--overwrite"]), ("tools.segment", ["run", "--web"], ["--workers", "99"]),
    ("tools.watch", ["run", "--once"], ["--interval", "9"]),
]


@pytest.mark.parametrize(("name", "words", "given"), PASSED_OVER, ids=lambda value: " ".join(value) if isinstance(
    value, list) else value)
def test_an_option_that_would_be_passed_over_is_refused(name, words, given, monkeypatch, capsys):
    monkeypatch.delenv("CRF_BACKEND", raising=False)
    parse_args = command(name).parse_args
    parse_args(words)
    with pytest.raises(SystemExit) as stop:
        parse_args([*words, *given])
    assert stop.value.code == 2
    assert f"error: {given[0]} changes nothing with" in capsys.readouterr().err.replace("nothing where", "nothing with")


@pytest.mark.parametrize("word", ["--force", "--plan"])
def test_a_run_that_is_adopted_is_not_forced_nor_planned(word):
    with pytest.raises(UsageError, match=f"^{word} changes nothing with --adopt, .*; leave it out; see --help$"):
        command("tools.run").parse_args(["demo", "--adopt", word], dict.fromkeys(
            ("STAGES", "ABLATION", "EXPERIMENT", "SKIP_BAD"), ""))


def test_a_rule_that_calls_nothing_background_goes_alone(capsys):
    make_cues = command("localization_cues.make_cues")
    make_cues.parse_args([*CUES, "--background", "none"])
    with pytest.raises(SystemExit):
        make_cues.parse_args([*CUES, "--background", "saliency:0.1", "none"])
    assert "--background none goes alone" in capsys.readouterr().err


def test_cues_of_every_experiment_and_ablation_have_no_option_that_is_passed_over():
    lines = [line.split("cues:", 1)[1].split() for path in sorted((ROOT / "prototxts").rglob("*.yaml"))
             for line in path.read_text().splitlines() if line.strip().startswith("cues: --")]
    assert any("--companion" in words for words in lines) and len(lines) > 8
    for words in lines:
        command("localization_cues.make_cues").parse_args([*CUES, *words])


def test_a_default_that_is_given_is_let_through(capsys):
    parser = command_parser("tools.x", "Says.")
    parser.add_argument("--rows", type=int, default=8)
    parser.refuse_unused(parser.parse_args(["--rows", "8"]), "without --montage", "--rows")
    with pytest.raises(SystemExit):
        parser.refuse_unused(parser.parse_args(["--rows", "9"]), "without --montage", "--rows")
    assert "error: --rows changes nothing without --montage; leave it out" in capsys.readouterr().err


def read(text, act=None):
    return Reader("text", act, ast.parse(text)).read


def test_the_check_sees_a_dead_flag():
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", "--dead-knob", type=int)
    parser.add_argument("--out")
    assert "dead_knob" not in read("args = p.parse_args()\nprint(args.out, other.dead_knob, 'dead_knob')")
    assert unread("tools.make_nets", parser) == ["dead_knob", "out"]


def test_flags_that_another_function_reads_count_only_where_it_gets_the_namespace():
    functions = "def f(x, y):\n    return x.a + y.b\ndef g(args):\n    return args.c\n"
    assert read(f"{functions}def main():\n    args = p.parse_args()\n    f(args, 1)\n    args.d = 2\n") == {"a"}
    assert read(f"{functions}def main():\n    f(1, y=p.parse_args())\n") == {"b"}


def test_names_of_getattr_count_and_other_strings_of_the_function_do_not():
    text = "args = p.parse_args()\nall(getattr(args, name) for name in ('a', 'b'))\nprint('c')\n"
    assert read(text) == {"a", "b"}
    assert read("args = p.parse_args()\nprint(getattr(args, 'd', None), 'e')") == {"d"}


def test_recording_all_arguments_reads_none():
    assert read("args = p.parse_args()\njson.dumps(vars(args))") == set()


def test_shared_flags_are_read_in_the_module_that_reads_them():
    assert {"threshold", "overlap"} <= Reader("localization_cues.make_cues").read
    text = "from localization_cues.cue_flags import rules_of\nargs = p.parse_args()\n"
    assert "threshold" not in read(text) and "threshold" in read(text + "rules_of(args)\n")


def test_a_subcommand_reads_by_its_own_function():
    def act(args):
        return args.a

    functions = "def act(args):\n    return args.a\ndef other(args):\n    return args.b\n"
    assert read(functions + "args = p.parse_args()\nargs.act(args)", act) == {"act", "a"}
