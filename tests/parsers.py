"""The argparse parsers of the commands, taken before a command does anything."""

import argparse
import importlib
import inspect
from unittest import mock

from tests.conftest import ROOT

PACKAGES = ("tools", "training", "localization_cues", "benchmarks", "docker")


class Parsed(BaseException):
    """The parser of a command, at the moment it would read the words."""


def parser_of(module, argv=()):
    """The ArgumentParser that a command's main builds; the parsers of subcommands are among its actions."""
    def record(self, *arguments, **options):
        raise Parsed(self)

    entry = getattr(module, "parse_args", None) or module.main
    parameters = inspect.signature(entry).parameters
    environment = dict.fromkeys(("STAGES", "ABLATION", "EXPERIMENT"), "")
    with mock.patch.multiple(argparse.ArgumentParser, parse_args=record, parse_known_args=record):
        try:
            entry(*[list(argv), environment][:len(parameters)])
        except Parsed as found:
            return found.args[0]
    raise AssertionError(f"{module.__name__} has no argparse parser")


def subparsers(parser):
    """Parser of each subcommand, by its name."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return action.choices
    return {}


def commands():
    """Names of all modules that people call as commands: those that end in `if __name__` and parse words."""
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    texts = {path: path.read_text(encoding="utf-8") for path in paths}
    return [".".join(path.relative_to(ROOT).with_suffix("").parts) for path, text in texts.items()
            if 'if __name__ == "__main__"' in text and ("ArgumentParser" in text or "command_parser(" in text)]


def command(name):
    """The module of a command."""
    return importlib.import_module(name)
