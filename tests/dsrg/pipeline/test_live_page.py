"""The page that is made beside a run: when, and that nothing about it harms the run."""

import json
import os
import time

import pytest

from dsrg.pipeline import live_page
from dsrg.pipeline.live_page import END, LIVE, LivePage, without_live
from dsrg.pipeline.run_record import RECORD, _identity
from tests.conftest import PATIENCE, ROOT
from tests.dsrg.report.made_run import make_run

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def record(folder, **changes):
    said = {"process": _identity(os.getpid()), "host": os.uname().nodename, "began": time.time() - 5,
            "stages": ["lists", "train-s", "report"], "stage": "train-s", "number": 2, "state": "running",
            "stage_began": time.time() - 4, "iterations": {"train-s": 400}}
    (folder / RECORD).write_text(json.dumps(said | changes))


def test_the_page_renews_itself_while_the_run_goes_on_and_not_when_it_has_ended(tmp_path):
    """As the pipeline makes it: by a process of its own, without torch, quickly."""
    folder = make_run(tmp_path / "demo")
    record(folder)
    page = LivePage(folder, ENVIRONMENT)
    page.stage_done()
    page._child.wait(PATIENCE)
    assert "rror" not in (folder / "logs/page.log").read_text()
    text = (folder / "report.html").read_text()
    assert text.count(LIVE) == 1 and text.count(END) == 1
    assert "The run goes on, stage 2 of 3, train-s: 300 of 400 iterations, 00:25 left" in text
    assert "train-s</th><td>running, resumed</td>" in text
    page.close(render=False)            # as a run that was stopped
    text = (folder / "report.html").read_text()
    assert LIVE not in text and "The run goes on" not in text and "location.reload" not in text
    assert "</html>" in text and "Val photos" in text


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A page made by a command that waits until the test says so; each start leaves a line."""
    (tmp_path / "logs").mkdir()
    monkeypatch.setattr(live_page, "python", lambda *words: [
        "sh", "-c", "echo x >> starts; while [ ! -e go ]; do sleep 0.01; done; printf '%s' \"$TEXT\" > report.html"])
    page = LivePage(tmp_path, {**os.environ, "TEXT": f"a {LIVE} b {END} c"})
    page.starts = lambda: len((tmp_path / "starts").read_text().split()) if (tmp_path / "starts").exists() else 0
    page.let_go = lambda: ((tmp_path / "go").touch(), page._child.wait(PATIENCE))
    yield page
    page._kill()


def test_stages_that_end_while_a_page_is_made_make_one_more(made, tmp_path):
    for _ in range(3):
        made.stage_done()
    made.let_go()
    assert made.starts() == 1
    made.while_running()
    made.stage_done()
    assert made.starts() == 1 and made._child is None, "short stages share the next page"
    assert 0 < made._soon - time.monotonic() < made._next - time.monotonic()
    made._soon = 0
    made.while_running()
    made._child.wait(PATIENCE)
    assert made.starts() == 2
    made.while_running()
    assert made.starts() == 2 and made._child is None, "it is new enough"
    made._next = 0
    made.while_running()
    made._child.wait(PATIENCE)
    assert made.starts() == 3
    made.close()
    assert (tmp_path / "report.html").read_text() == "a  c" and made.starts() == 3


def test_a_page_that_takes_long_is_made_again_before_it_calls_the_run_ended(made):
    """The page of a run of which 15 minutes nothing has come says so (templates/live.js)."""
    made.stage_done()
    made._began -= 60       # so long it took, on a busy machine
    made.let_go()
    made.while_running()
    assert 590 < made._next - time.monotonic() <= 600 and 590 < made._soon - time.monotonic() <= 600


def test_a_page_that_hangs_or_cannot_be_made_does_not_hold_up_the_end(made, tmp_path, monkeypatch):
    monkeypatch.setattr(live_page, "LAST_PAGE", 0.1)
    made.stage_done()
    child = made._child
    made.close()
    assert child.poll() == -9
    monkeypatch.setattr(live_page, "python", lambda *words: ["/no/such/program"])
    made.stage_done()
    made.close()
    made.forget()
    made.while_running()
    assert made._child is None


def test_text_without_a_live_part_or_no_page_at_all_is_left_alone(tmp_path):
    without_live(tmp_path / "report.html")
    (tmp_path / "report.html").write_text(f"whole {LIVE} cut off")
    without_live(tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text() == f"whole {LIVE} cut off"
