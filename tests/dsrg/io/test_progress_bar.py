"""dsrg.io.progress_bar."""


import io
import sys

import numpy as np

from dsrg.io import progress_bar

LABELS = np.array([[0, 1, 2, 255], [3, 4, 20, 254]], np.uint8)


def test_progress_prints_plain_lines_where_stderr_is_no_terminal(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    assert list(progress_bar.progress(iter("abc"), "letters", 3)) == ["a", "b", "c"]
    line = stream.getvalue()
    assert line.startswith("letters: 3/3 in ") and line.count("\n") == 1 and "\r" not in line
