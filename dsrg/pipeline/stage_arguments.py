"""Arguments that settings.yaml and ablations give to the commands of stages, checked before the first stage runs.

Each command's own parser reads them: what it refuses would end the run at that stage, hours later.
"""

import contextlib
import importlib
import io
import os
from itertools import takewhile
from pathlib import Path

from dsrg.io.errors import UserError
from dsrg.io.terminal import be_quiet, is_quiet
from dsrg.pipeline.stages import STAGES


def check_arguments(part, earlier, ablation):
    """Refuse arguments that their command does not take, and files and folders among them that will not be there.

    Parameters
    ----------
    part : run_parts.Part
    earlier : list of run_parts.Part
        Of an ablation, the plain run.
    ablation : (path, mapping), or None
        The ablation's file and its arguments by command, which take the place of the experiment's.

    Raises
    ------
    UserError
        With file and key, and what the command says.
    """
    experiment = part.run.experiment
    settings, few = experiment.folder / "settings.yaml", experiment.few_classes.get("arguments", {})
    for row in STAGES:
        if row.arguments not in {*experiment.arguments, *few}:
            continue
        own = experiment.arguments.get(row.arguments, ())
        try:
            command = row.command(part.run)
        except UserError:       # the experiment lacks the training, and leaves the stage out or says so there
            continue
        if row.arguments in few:
            _parsed([*command[:len(command) - len(own)], *few[row.arguments]],
                    f"{settings}: few_classes: arguments: {row.arguments}")
        where = f"ablation {ablation[0]}" if ablation and row.arguments in ablation[1] else str(settings)
        where = f"{where}: arguments: {row.arguments}"
        parsed = _parsed(command, where)
        for option in (word for word in own if word.startswith("--") and row in part.rows):
            value = getattr(parsed, option[2:].replace("-", "_"), None)
            if isinstance(value, Path) and not _will_be_there(value, row, part, earlier):
                raise UserError(f"{where}: {option} {value}: there is no {_absolute(part.run, value)}, and no earlier "
                                "stage of the run makes it; give an absolute path, or one from the run's folder, in "
                                "which data/ is DATA_ROOT")


def _parsed(command, where):
    """What a command's own parser makes of its words."""
    quiet, said = is_quiet(), io.StringIO()
    module, words = command[2], command[3:]
    try:
        with contextlib.redirect_stderr(said):
            # by name, as the stage runs it: commands stand above this package
            return importlib.import_module(module).parse_args(words)
    except SystemExit:
        raise UserError(f"{where}: {said.getvalue().partition(': error: ')[2].strip()}") from None
    finally:
        be_quiet(quiet)         # a parser that is made sets it


def _will_be_there(path, row, part, earlier):
    """Whether a path that a stage reads exists, or an earlier stage makes it; or the stage is left out."""
    path = _absolute(part.run, path)
    if path.exists() or row.left_out(part.run):
        return True
    before = list(takewhile(lambda other: other is not row, part.rows))
    return any(path.is_relative_to(made) for run, rows in [*((p.run, p.rows) for p in earlier), (part.run, before)]
               for made in _made_by(rows, run))


def _made_by(rows, run):
    """Absolute paths that these stages make, of those that the run does not leave out."""
    for row in rows:
        with contextlib.suppress(UserError):        # of a training that the experiment lacks
            if not row.left_out(run):
                made = row.makes(run)
                yield from (_absolute(run, name) for name in (*made.files, *made.folders))


def _absolute(run, path):
    """Where a path of a run leads, also before the links of its folder are made."""
    return Path(os.path.abspath(run.path(os.path.normpath(path))))
