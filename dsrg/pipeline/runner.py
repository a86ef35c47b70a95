"""Runs the stages of a run that are not done, one after another."""

import contextlib
import os
import time

from dsrg.io.errors import UserError
from dsrg.pipeline import run_folder
from dsrg.pipeline.code_digests import ROOT
from dsrg.pipeline.locks import Lock
from dsrg.pipeline.processes import Children, Stopped
from dsrg.pipeline.run_parts import Choice
from dsrg.pipeline.stamps import read_json


def execute(found, choice, say=print, children=None):
    """Run what is not done.

    Parameters
    ----------
    found : list of Part
    choice : Choice
    say : callable
        Takes one line.
    children : optional
        What runs the commands, a processes.Children by default.

    Returns
    -------
    int
        0, or the status of the stage that failed.

    Raises
    ------
    Stopped
        By a signal; what was running has ended, trainings with a snapshot.
    UserError
        Another process works in the folder, a stage did not make what it should, an input is not there.
    """
    with (children or Children()) as children, contextlib.ExitStack() as locks:
        for k, part in enumerate(found):
            last = k == len(found) - 1
            lock = _lock(part, locks, shared=not last)
            status = _execute(part, choice if last else Choice(adopt=choice.adopt), children, say, lock)
            if status:
                return status
    return 0


def _lock(part, locks, shared):
    """Hold a run's folder; the plain run's of an ablation is shared with other readers when there is nothing to run."""
    what, path = str(part.run.folder), part.run.folder / ".lock"
    if shared and not _left_to_run(part):
        return locks.enter_context(Lock(path, what, shared=True))
    return locks.enter_context(Lock(path, what))


def _left_to_run(part):
    """Whether any row of the part is not done."""
    try:
        return not all(row.left_out(part.run) or part.stamps.state(row).done for row in part.rows)
    except UserError:
        return True


def _execute(part, choice, children, say, lock):
    run = part.run
    run_folder.prepare(run, part.texts, part.says)
    part.stamps.tidy()
    if part.says is not None:
        say(f"== ablation {run.settings.ablation}: {part.says}")
    for number, row in enumerate(part.rows, 1):
        head = f"[{number}/{len(part.rows)}] {row.name}"
        reason = row.left_out(run)
        if reason:
            say(f"{head}: left out, {reason}")
            continue
        status = _run_row(part, row, head, choice, children, say)
        if status:
            return status
        run.coming.add(row.name)
    part.stamps.digests.save()
    return 0


def _run_row(part, row, head, choice, children, say):
    run, stamps = part.run, part.stamps
    command = [*row.command(run), *row.unkeyed(run)]
    shown = " ".join(row.command(run)[2:])
    if row.always:
        say(f"{head}: {shown}")
        return children.run(command, run.folder, environment(run.settings)).status
    state = stamps.state(row, forced=choice.force)
    if state.done:
        say(f"{head}: done")
        return 0
    if choice.adopt:
        return _adopt(part, row, state, head, say)
    before, peak = 0.0, 0
    if state.resumes:
        earlier = stamps.begun(row.name) or state.record
        before, peak = float(earlier.get("seconds", 0)), int(earlier.get("peak_mib", 0))
        stamps.begin(row.name, state.inputs, before, peak)
        stamps.stamp_path(row.name).unlink(missing_ok=True)
    else:
        stamps.forget(row.name)
        aside = run_folder.set_aside(run, row)
        if aside:
            say(f"{head}: {state.reasons[0]}; earlier results moved to {aside}")
        stamps.begin(row.name, state.inputs)
    say(f"{head}: {shown}")

    def note(seconds):
        stamps.begin(row.name, state.inputs, before + seconds, peak)

    started = time.monotonic()
    ended = children.run(command, run.folder, environment(run.settings), note)
    seconds, peak = round(before + time.monotonic() - started, 1), max(peak, ended.peak_mib)
    if ended.status == 0:
        stamps.finish(row, state.inputs, row.command(run), seconds=seconds, peak_mib=peak,
                      finished=time.strftime("%Y-%m-%d %H:%M:%S"), resumed=state.resumes)
        say(f"{head}: {seconds:.0f} s, peak {peak} MiB")
    else:
        stamps.begin(row.name, state.inputs, seconds, peak)
    if children.wanted:
        raise Stopped(children.wanted)
    return ended.status


def _adopt(part, row, state, head, say):
    """Stamp what lies there as made from the inputs of now."""
    stamps, record = part.stamps, state.record
    known = record or read_json(stamps.stamp_path(row.name))
    try:
        stamps.finish(row, state.inputs, row.command(part.run), seconds=known.get("seconds", 0.0),
                      peak_mib=known.get("peak_mib", 0), finished=known.get("finished", ""))
    except UserError:
        stamps.forget(row.name)
        say(f"{head}: not done, nothing to adopt")
        return 0
    say(f"{head}: adopted")
    return 0


def environment(settings):
    """Environment of a stage's command: settings that its libraries read there.

    Parameters
    ----------
    settings : Settings

    Returns
    -------
    dict of str to str
    """
    found = {**os.environ, "PYTHONPATH": str(ROOT), "ENGINE": settings.engine, "CAFFE_ROOT": settings.caffe_root,
             "CRF_BACKEND": settings.crf_backend}
    found.setdefault("GLOG_minloglevel", "2")
    # glibc hands big blocks back to the kernel after each use and gets them back zeroed, page by page: a tenth of a
    # training step on the CPU. Keep them instead.
    found.setdefault("MALLOC_MMAP_MAX_", "0")
    found.setdefault("MALLOC_TRIM_THRESHOLD_", "2147483647")
    return found
