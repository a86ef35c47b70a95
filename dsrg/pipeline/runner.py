"""Runs the stages of a run that are not done, one after another."""

import contextlib
import os
import time

from dsrg.io.errors import UserError
from dsrg.io.json_files import read_mapping
from dsrg.io.process_share import launched
from dsrg.io.python_path import python_path
from dsrg.io.terminal import is_quiet
from dsrg.pipeline import run_folder
from dsrg.pipeline.locks import Lock
from dsrg.pipeline.processes import Children, Stopped
from dsrg.pipeline.run_parts import Choice
from dsrg.pipeline.run_record import RunRecord


def execute(found, choice, say=print, children=None, live_page=None):
    """Run what is not done.

    Parameters
    ----------
    found : list of Part
    choice : Choice
    say : callable
        Takes one line.
    children : optional
        What runs the commands, a processes.Children by default.
    live_page : callable, optional
        Makes of a run's folder and an environment what keeps its page up to date, a live_page.LivePage.

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
    # the plain run of an ablation is shared with other readers when there is nothing to run in it
    with (children or Children()) as children, contextlib.ExitStack() as locks:
        for k, part in enumerate(found):
            last = k == len(found) - 1
            shared = not last and not _left_to_run(part)
            locks.enter_context(Lock(part.run.folder / ".lock", str(part.run.folder), shared))
            with _watched(part, live_page, shared) as watched:
                status = _execute(part, choice if last else Choice(adopt=choice.adopt), children, say, watched)
                watched.end("failed" if status else "done", status)
            if status:
                return status
    return 0


class _Watched:
    """What a run tells those who look at it meanwhile: its record, and its page where that is kept up to date.

    Of a folder that others read as well, nothing: there is nothing to do in it.
    """

    def __init__(self, part, live_page, shared):
        self.record = None if shared else RunRecord(part.run, part.rows)
        self.page = live_page and not shared and live_page(part.run.folder, environment(part.run.settings))
        self.ended = shared

    def begin(self, name, number):
        if self.record:
            self.record.begin(name, number)

    def stage_done(self):
        if self.page:
            self.page.stage_done()

    def while_running(self):
        if self.page:
            self.page.while_running()

    def page_is_made(self):
        if self.page:
            self.page.forget()

    def end(self, state, status):
        self.ended = True
        if self.record:
            self.record.end(state, status)
        if self.page:
            self.page.close(render=state != "stopped")


@contextlib.contextmanager
def _watched(part, live_page, shared):
    """Prepares the folder, and notes how the run in it ended."""
    run_folder.prepare(part.run, part.texts, part.says)
    watched = _Watched(part, live_page, shared)
    try:
        yield watched
    except BaseException as error:
        if not watched.ended:
            stopped = isinstance(error, Stopped | KeyboardInterrupt)
            watched.end("stopped" if stopped else "failed", 128 + error.number if isinstance(error, Stopped) else 1)
        raise


def _left_to_run(part):
    """Whether any row of the part is not done."""
    try:
        return not all(row.left_out(part.run) or part.stamps.state(row).done for row in part.rows)
    except UserError:
        return True


def _execute(part, choice, children, say, watched):
    run = part.run
    part.stamps.tidy()
    if part.says is not None:
        say(f"== ablation {run.settings.ablation}: {part.says}")
    for number, row in enumerate(part.rows, 1):
        head = f"[{number}/{len(part.rows)}] {row.name}"
        reason = row.left_out(run)
        if reason:
            say(f"{head}: left out, {reason}")
            continue
        watched.begin(row.name, number)
        status = _run_row(part, row, head, choice, children, say, watched)
        if status:
            return status
        run.coming.add(row.name)
    part.stamps.digests.save()
    return 0


def _run_row(part, row, head, choice, children, say, watched):
    run, stamps = part.run, part.stamps
    command = launched([*row.command(run), *row.unkeyed(run)], run.settings.processes if row.shared else 1)
    shown = " ".join(row.command(run)[2:])
    if row.always:
        say(f"{head}: {shown}")
        watched.page_is_made()
        return children.run(command, run.folder, environment(run.settings)).status
    try:
        state = stamps.state(row, forced=choice.force)
    except UserError:
        if not choice.adopt:
            raise
        say(f"{head}: not done, what it reads is not there")
        return 0
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

    def note_time(seconds):
        with contextlib.suppress(UserError):    # of a full disk the stage's command tells, or none needs to
            stamps.begin(row.name, state.inputs, seconds, peak)

    def note(seconds):
        note_time(before + seconds)
        watched.while_running()

    started = time.monotonic()
    ended = children.run(command, run.folder, environment(run.settings), note)
    seconds, peak = round(before + time.monotonic() - started, 1), max(peak, ended.peak_mib)
    if ended.status == 0:
        stamps.finish(row, state.inputs, row.command(run), seconds=seconds, peak_mib=peak,
                      finished=time.strftime("%Y-%m-%d %H:%M:%S"), resumed=state.resumes)
        say(f"{head}: {seconds:.0f} s, peak {peak} MiB")
        watched.stage_done()
    else:
        note_time(seconds)
    if children.wanted:
        raise Stopped(children.wanted)
    return ended.status


def _adopt(part, row, state, head, say):
    """Stamp what lies there as made from the inputs of now; of a stage that is not whole, note that it goes on so."""
    stamps, record = part.stamps, state.record
    known = record or read_mapping(stamps.stamp_path(row.name))
    begun, missing = stamps.begun(row.name), stamps.missing(row, record or {})
    if missing or begun and not known:
        earlier = begun or known
        stamps.begin(row.name, state.inputs, earlier.get("seconds", 0.0), earlier.get("peak_mib", 0))
        stamps.stamp_path(row.name).unlink(missing_ok=True)
        say(f"{head}: {f'not whole, {missing[0]} is gone' if missing else 'not done'}; goes on from what is there")
        return 0
    try:
        stamps.finish(row, state.inputs, row.command(part.run), seconds=known.get("seconds", 0.0),
                      peak_mib=known.get("peak_mib", 0), finished=known.get("finished", ""))
    except UserError:
        if not state.resumes:
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
    found = {**os.environ, "PYTHONPATH": python_path(os.environ), "ENGINE": settings.engine,
             "CAFFE_ROOT": settings.caffe_root, "CRF_BACKEND": settings.crf_backend, "QUIET": "1" if is_quiet() else ""}
    found.setdefault("GLOG_minloglevel", "2")
    # glibc hands big blocks back to the kernel after each use and gets them back zeroed, page by page: a tenth of a
    # training step on the CPU. Keep them instead.
    found.setdefault("MALLOC_MMAP_MAX_", "0")
    found.setdefault("MALLOC_TRIM_THRESHOLD_", "2147483647")
    return found
