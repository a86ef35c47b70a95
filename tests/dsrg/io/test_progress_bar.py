"""dsrg.io.progress_bar: what a log says of a loop, read from stderr."""

import re
import time

import pytest

from dsrg.io import progress_bar
from dsrg.io.progress_bar import PlainLines


def test_progress_prints_plain_lines_where_stderr_is_no_terminal(capsys):
    assert list(progress_bar.progress(iter("abc"), "letters", 3)) == ["a", "b", "c"]
    line = capsys.readouterr().err
    assert re.fullmatch(r"letters: 3/3, 00:00 passed, 00:00 left, *[\d.k]+it/s\n", line), line


def test_lines_carry_time_passed_and_left_and_slow_rates_as_seconds():
    """12 of 40 steps in 30 s: 28 more of 2.5 s each. '0.4/s' would do, '0.0/s' of slower ones says nothing."""
    lines = PlainLines("cues", 40)
    lines.update(12)
    assert lines.line(30) == "cues: 12/40, 00:30 passed, 01:10 left,  2.50s/it"
    lines.update(12, note="loss {0.5}")
    assert lines.line(12 * 300) == "cues: 12/40, loss {0.5}, 1:00:00 passed, 2:20:00 left, 300.00s/it"
    lines.close()


def test_earlier_parts_count_as_passed_and_not_for_the_rate():
    """Resumed at 100 of 130 after 50 s; 10 steps in 20 s since: 20 more of 2 s."""
    lines = PlainLines("s", 130, initial=100, earlier=50)
    lines.update(110)
    assert lines.line(20) == "s: 110/130, 01:10 passed, 00:40 left,  2.00s/it"
    lines.close()


def test_a_total_that_is_not_known():
    lines = PlainLines("photos")
    lines.update(5)
    assert lines.line(2) == "photos: 5, 00:02 passed,  2.50it/s"
    lines.close()


def test_a_long_step_does_not_leave_the_log_silent(capsys, monkeypatch):
    monkeypatch.setattr(progress_bar, "LONGEST_SILENCE", 0.05)
    lines = PlainLines("slow", 3)
    told, deadline = "", time.monotonic() + 20
    while told.count("\n") < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
        told += capsys.readouterr().err
    lines.close()
    told += capsys.readouterr().err
    assert told.count("\n") >= 3 and all(line.startswith("slow: 0/3, ") for line in told.splitlines())
    time.sleep(0.2)
    assert capsys.readouterr().err == "", "no line after the end"


def test_steps_print_no_more_than_a_line_in_ten_seconds_and_the_last_is_told_once(capsys):
    lines = PlainLines("fast", 1000)
    for done in range(1, 1001):
        lines.update(done)
    lines.close()
    lines.close()
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and told.startswith("fast: 1000/1000, ")


def test_a_loop_that_fails_says_how_far_it_came(capsys):
    def steps():
        yield from (1, 2)
        raise KeyError("broken")

    with pytest.raises(KeyError):
        list(progress_bar.progress(steps(), "steps", 5))
    assert capsys.readouterr().err.startswith("steps: 2/5, ")
