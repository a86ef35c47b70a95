"""Processes that read damaged files, with limits on their time and memory, for a parent that outlives them."""

import contextlib
import faulthandler
import gc
import os
import re
import resource
import signal
import tempfile
import time
import traceback
import warnings

#: where files are written that a reader reads: in memory where the system has such a folder
PLACE = next((folder for folder in ("/dev/shm",) if os.access(folder, os.W_OK)), None)
QUIET = 60.0  # seconds without an answer after which a child is taken to wait for something
MEMORY = 1 << 30  # bytes of address space beyond what the process has when it starts reading
SECONDS = 5.0  # of processor time, one input


def run_batch(read, expected, inputs, outcomes):
    """Read every input in a child of this process.

    Parameters
    ----------
    read : function
        bytes -> anything.
    expected : tuple of exception classes
        How the reader refuses an input.
    inputs : sequence of bytes
    outcomes : list
        Outcomes are appended: "read", "refused", or ("fault", text); as many as there are inputs.
    """
    done = 0
    while done < len(inputs):
        # a child that was killed leaves its files; they are removed here
        with tempfile.TemporaryDirectory(prefix="fuzz-", dir=PLACE, ignore_cleanup_errors=True) as folder:
            done += _run_child(read, expected, inputs[done:], outcomes, folder)


def _run_child(read, expected, inputs, outcomes, folder):
    """Read inputs until one ends the child; how many outcomes have been added."""
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(source)
        status = 1
        try:
            faulthandler.disable()      # the parent says how a child ended; a stack would look like a crash of tests
            _limit()
            gc.freeze()     # what the parent made stays where it is: looking through it would copy its memory
            tempfile.tempdir = folder
            for data in inputs:
                os.write(sink, _outcome(read, expected, data).encode(errors="backslashreplace")[:4000] + b"\0")
            status = 0
        finally:
            os._exit(status)
    os.close(sink)
    texts, ended = _collect(source, child, len(inputs))
    os.close(source)
    outcomes += [text if text in ("read", "refused") else ("fault", text) for text in texts]
    if len(texts) < len(inputs):
        outcomes.append(("fault", ended))
        return len(texts) + 1
    return len(texts)


def _collect(source, child, count):
    """The child's outcomes, and how it ended where they are too few."""
    buffer, texts, quiet_since = b"", [], time.monotonic()
    os.set_blocking(source, False)
    while True:
        try:
            chunk = os.read(source, 1 << 16)
        except BlockingIOError:
            if time.monotonic() - quiet_since > QUIET:  # asleep: a pipe, a lock
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return texts, f"waits for something: no answer for {QUIET:g} s"
            time.sleep(0.002)
            continue
        if not chunk:
            break
        quiet_since = time.monotonic()
        *whole, buffer = (buffer + chunk).split(b"\0")
        texts += [text.decode(errors="replace") for text in whole]
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        slow = f": more than {SECONDS:g} s" if number in (signal.SIGXCPU, signal.SIGPROF) else ""
        return texts, f"killed by {signal.Signals(number).name}{slow}"
    return texts, f"left with status {os.WEXITSTATUS(status)} without an answer"


def _limit():
    with open("/proc/self/statm", encoding="ascii") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    null = os.open(os.devnull, os.O_WRONLY)  # libraries talk
    os.dup2(null, 1)
    os.dup2(null, 2)


def _outcome(read, expected, data):
    """Read one input; "read", "refused", or what is wrong with how it ended."""
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read(data)
    except expected as error:
        return _fault_of_text(str(error)) or "refused"
    except BaseException as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} in {os.path.basename(last.filename)}:{last.lineno}: {error}"[:600]
    finally:
        with contextlib.suppress(OSError):
            signal.setitimer(signal.ITIMER_PROF, 0)
    return "read"


def _fault_of_text(text):
    """What is wrong with an error message, or None."""
    if len(text) > 2100:
        return f"its message has {len(text)} characters"
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", text):
        return "its message has control codes"
    return None if text.strip() else "its message is empty"
