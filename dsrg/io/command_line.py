"""The parser of a command: help with examples, flags that every command has, completion in the shell.

Results go to stdout, notes and progress to stderr; with --json, where a command has it, stdout is one JSON value. A
command ends with a status of `EXIT_STATUS`. The variable QUIET asks for --quiet: of the stages of a run, whose commands
are those that their stamps know.
"""

import argparse
import json
import os
import re

from dsrg.io.errors import TRACEBACK_FLAG, one_line, printable
from dsrg.io.process_share import ranks_here
from dsrg.io.terminal import be_quiet

#: exit status -> what it says, of all commands (tools/README.md has the table)
EXIT_STATUS = {
    0: "done",
    1: "an error, said in a line on stderr; or what was asked about is not so, or a photo of many could not be read",
    2: "arguments that are unknown or do not go together",
    130: "Ctrl-C (128 and the number of the signal, so 143 after SIGTERM and 129 after SIGHUP)",
}


class CommandParser(argparse.ArgumentParser):
    """A parser with the flags of every command, --quiet and --traceback, which a shell can ask for completions."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        if self.add_help:
            self.add_argument("--quiet", action=_Quiet, help="print results, warnings and errors alone: no notes, no "
                              "progress")
            self.add_argument(TRACEBACK_FLAG, action=_Seen, help="print the traceback of an error, too")

    def print_help(self, file=None):
        """As argparse's; output that cannot be written ends the command, where argparse says nothing.

        Parameters
        ----------
        file : optional
            Where to; stdout by default.

        Raises
        ------
        OSError
        """
        print(self.format_help(), end="", file=file, flush=True)

    def error(self, message):
        """As argparse's; of what was given, control characters are written out and endless words cut.

        Parameters
        ----------
        message : str
        """
        super().error(one_line(message))

    def refuse_unused(self, args, when, *options):
        """End with an error for an option that is given and would be passed over.

        One that is given its default changes nothing either way, and is let through.

        Parameters
        ----------
        args : argparse.Namespace
        when : str
            Why it has no use: "without --remainder".
        *options : str
        """
        for option in options:
            action = self._option_string_actions[option]
            if getattr(args, action.dest) != action.default:
                self.error(f"{option} changes nothing {when}; leave it out")

    def parse_args(self, args=None, namespace=None):
        """As argparse's; answers a shell that asks for completions.

        Parameters
        ----------
        args : sequence of str, optional
        namespace : argparse.Namespace, optional

        Returns
        -------
        argparse.Namespace
        """
        self._complete()
        return super().parse_args(args, namespace)

    def parse_intermixed_args(self, args=None, namespace=None):
        """As argparse's; answers a shell that asks for completions.

        Parameters
        ----------
        args : sequence of str, optional
        namespace : argparse.Namespace, optional

        Returns
        -------
        argparse.Namespace
        """
        self._complete()
        return super().parse_intermixed_args(args, namespace)

    def _complete(self):
        if "_ARGCOMPLETE" in os.environ:
            import argcomplete  # not loaded by a command that runs

            argcomplete.autocomplete(self)


class _Seen(argparse.Action):
    """A flag without a value that is acted on elsewhere: `run_main` reads --traceback before all others."""

    def __init__(self, option_strings, dest, **options):
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, default=argparse.SUPPRESS, **options)

    def __call__(self, parser, namespace, values, option_string=None):
        pass


class _Quiet(_Seen):
    def __call__(self, parser, namespace, values, option_string=None):
        be_quiet()
        os.environ.setdefault("GLOG_minloglevel", "1")      # Caffe's own notes, of the engine and of pycaffe


class Named(argparse.Action):
    """Of a flag whose type gives (name, value): collects them in a dict. A name that is given twice is refused."""

    def __call__(self, parser, namespace, values, option_string=None):
        """Add one pair, or a list of them."""
        found = dict(getattr(namespace, self.dest) or {})
        for name, value in values if isinstance(values, list) else [values]:
            if name in found:
                raise argparse.ArgumentError(self, f"{name} is given twice; keep one of them")
            found[name] = value
        setattr(namespace, self.dest, found)


def command_parser(name, doc, json=False, parser_class=CommandParser, **options):
    """The parser of a command.

    Parameters
    ----------
    name : str
        Its module, such as "tools.segment".
    doc : str
        The module's docstring: the first paragraph says what the command does; the others, with examples, stand below
        the options in its help.
    json : bool
        Whether there is a flag --json.
    parser_class : CommandParser or a subclass
    **options
        argparse's.

    Returns
    -------
    CommandParser or parser_class
    """
    be_quiet(bool(os.environ.get("QUIET")))
    description, _, rest = doc.strip().partition("\n\n")
    parser = parser_class(prog=f"python -m {name}", description=description, epilog=rest.rstrip() or None,
                          formatter_class=argparse.RawDescriptionHelpFormatter, **options)
    if json:
        add_json_flag(parser)
    return parser


def sharing_ranks():
    """This process among those that share the command's work; all but the first print no notes and no progress.

    Returns
    -------
    Ranks
    """
    ranks = ranks_here()
    if not ranks.is_first:
        be_quiet()
    return ranks


def add_json_flag(parser):
    """Add --json, as of `command_parser`, to one of several subcommands.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    """
    parser.add_argument("--json", action="store_true", help="print the result as JSON, for scripts")


def print_json(value):
    """Print a value as JSON on stdout; numbers that JSON has no word for are refused with ValueError.

    What a terminal would act on, or UTF-8 cannot hold, is written as JSON's \\uXXXX.

    Parameters
    ----------
    value : dict, list, str, number, bool or None

    Raises
    ------
    ValueError
        A number that is not finite.
    """
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    print(re.sub("[\x7f-\x9f\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text))


def print_result(value, lines, as_json):
    """Print what a command found: with --json as JSON, else as lines for people.

    Parameters
    ----------
    value
        As of `print_json`.
    lines : iterable of str
    as_json : bool

    Raises
    ------
    ValueError
        As of `print_json`.
    """
    if as_json:
        print_json(value)
    else:
        print("\n".join(map(printable, lines)))
