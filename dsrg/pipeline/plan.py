"""Says which stages of a run would be run, and why."""

from pathlib import Path

from dsrg.io.errors import UserError


def plan(found, choice):
    """Lines that say what `runner.execute` would do, and why; nothing is written.

    A stage that follows one which will run may turn out to be done, where that makes the same files again.

    Parameters
    ----------
    found : list of Part
    choice : Choice

    Returns
    -------
    list of str
    """
    lines, coming = [], set()
    for k, part in enumerate(found):
        force = choice.force and k == len(found) - 1
        lines.append(f"{_shown(part.run.folder)}:")
        for number, row in enumerate(part.rows, 1):
            lines.append(f"  [{number}/{len(part.rows)}] {row.name}: {_verdict(part, row, force, coming)}")
    return lines


def _verdict(part, row, force, coming):
    run = part.run
    reason = row.left_out(run)
    if reason:
        return f"left out, {reason}"
    run.coming.add(row.name)
    if row.always:
        return "runs each time"
    follows = [name for name in (*row.needs, *row.also_needs(run)) if name in coming]
    try:
        state = part.stamps.state(row, forced=force)
    except UserError as error:
        coming.add(row.name)
        return f"will run after {', '.join(follows)}" if follows else f"cannot run: {error}"
    if state.done:
        if not follows:
            return "done"
        coming.add(row.name)
        return f"done, unless {', '.join(follows)} makes something else"
    coming.add(row.name)
    goes_on = ", and goes on from what is there" if state.resumes else ""
    return f"will run: {'; '.join(state.reasons)}{goes_on}"


def _shown(path):
    try:
        return Path(path).relative_to(Path.cwd())
    except ValueError:
        return path
