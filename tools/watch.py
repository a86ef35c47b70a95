# PYTHON_ARGCOMPLETE_OK
"""Shows the state of runs in the terminal: stage, bar, losses, time left, last warning.

    python -m tools.watch work/demo             # until the run ends; Ctrl-C ends the watching, not the run
    python -m tools.watch work/demo --once      # as it is now
    python -m tools.watch work/demo --json      # the same for scripts; of several runs a list

On a terminal the picture is drawn again and again (in no colours with NO_COLOR=1); elsewhere a line is printed when a
stage begins and every half a minute. All of it goes to stdout. The exit status is 0 when every run is done, or with
--once whatever their state; 1 when one has failed or was killed or stopped.
"""

import sys
import time
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live

from dsrg.io.command_line import command_parser, print_json
from dsrg.io.errors import run_main
from dsrg.io.terminal import in_colour, redraws
from dsrg.report.run_state import read_state
from dsrg.report.state_drawing import drawn
from dsrg.report.state_text import plain_lines
from training.shared_flags import positive_number

SECONDS_BETWEEN_LINES = 30


def parse_args(argv=None):
    parser = command_parser("tools.watch", __doc__, json=True)
    parser.add_argument("runs", nargs="+", type=Path, help="folders of runs, such as work/demo")
    parser.add_argument("--once", action="store_true", help="print the state once (so does --json)")
    parser.add_argument("--interval", type=positive_number, default=2.0, metavar="SECONDS",
                        help="time between two looks (default 2)")
    args = parser.parse_intermixed_args(argv)
    if args.once or args.json:
        parser.refuse_unused(args, "with --once or --json, which look once", "--interval")
    return args


def main(argv=None):
    args = parse_args(argv)
    states = [read_state(run) for run in args.runs]
    if args.json:
        print_json(states[0] if len(states) == 1 else states)
        return 0
    if args.once:
        print("\n".join(line for state in states for line in plain_lines(state)))
        return 0
    try:
        states = _draw(args) if redraws(sys.stdout) else _print(args)
    except KeyboardInterrupt:
        return 130
    return 0 if all(state["state"] == "done" for state in states) else 1


def _looks(args):
    """The states again and again, until no run goes on."""
    while True:
        states = [read_state(run) for run in args.runs]
        yield states
        if not any(state["state"] == "running" for state in states):
            return
        time.sleep(args.interval)


def _draw(args):
    with Live(console=Console(no_color=not in_colour(sys.stdout)), auto_refresh=False) as live:
        for states in _looks(args):
            live.update(Group(*map(drawn, states)), refresh=True)
    return states


def _print(args):
    told, at = None, 0.0
    for states in _looks(args):
        stages = [(state["state"], state["stage"], state["warnings"][-1:]) for state in states]
        if stages != told or time.monotonic() - at >= SECONDS_BETWEEN_LINES:
            told, at = stages, time.monotonic()
            print("\n".join(line for state in states for line in plain_lines(state)), flush=True)
    return states


if __name__ == "__main__":
    run_main(main)
