"""No dead knobs: every flag of every command is read from the namespace that the command parsed."""

import argparse
import ast

import pytest

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
