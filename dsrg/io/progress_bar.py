"""How far a loop is: a bar on a terminal, plain lines elsewhere."""

import sys
import time

from tqdm import tqdm


def progress(iterable, desc, total=None):
    """Yield the items of `iterable` under a progress bar, or plain lines where stderr is not a terminal.

    Parameters
    ----------
    desc : str
        What is counted, in front of the bar.
    total : int, optional
        Number of items; by default `len(iterable)` where it has one.
    """
    if total is None and hasattr(iterable, "__len__"):
        total = len(iterable)
    if sys.stderr.isatty():
        yield from tqdm(iterable, desc=desc, total=total, dynamic_ncols=True)
        return
    started = last = time.monotonic()
    done = 0
    for done, item in enumerate(iterable, 1):
        yield item
        now = time.monotonic()
        if now - last >= 10:
            last = now
            print(_progress_line(desc, done, total, now - started), file=sys.stderr, flush=True)
    print(_progress_line(desc, done, total, time.monotonic() - started), file=sys.stderr, flush=True)


def _progress_line(desc, done, total, seconds):
    count = f"{done}/{total}" if total is not None else f"{done}"
    rate = f", {done / seconds:.1f}/s" if done and seconds > 0 else ""
    return f"{desc}: {count} in {seconds:.1f} s{rate}"
