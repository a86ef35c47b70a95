"""The state of a run (dsrg.report.run_state) as rich draws it on a terminal."""

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dsrg.io.errors import printable
from dsrg.report.state_text import loss_words, more_words, progress_words, stage_words, state_words

#: colour of each state, beside the word itself
STYLES = {"running": "bold cyan", "done": "bold green", "stopped": "bold yellow", "failed": "bold red",
          "killed": "bold red", "not begun": "bold"}


def drawn(state):
    """What rich draws of the same: a line, a bar of the stage, losses, stages done, warning."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", justify="right")
    table.add_column(overflow="fold")
    table.add_row("run", Text.assemble((printable(state["run"]), "bold"), "  ",
                                       (state_words(state), STYLES[state["state"]])))
    if state["stage"]:
        table.add_row("stage", _plain(stage_words(state)))
    progress = state["progress"]
    if progress and progress["of"]:
        table.add_row("", ProgressBar(total=progress["of"], completed=progress["done"], width=40))
    if words := progress_words(state):
        table.add_row("", _plain(words))
    if losses := loss_words(state):
        table.add_row("losses", _plain(losses))
    count = sum(one == "done" for one in state["stages"].values())
    table.add_row("done", f"{count} of {sum(one != 'left out' for one in state['stages'].values())} stages")
    if state["warnings"]:
        table.add_row("warning", _plain(state["warnings"][-1] + more_words(state), "yellow"))
    return Group(table)


def _plain(words, style=""):
    """Words from the files of the run, in which neither rich's markup nor the terminal's escape sequences count."""
    return Text(printable(words), style=style)
