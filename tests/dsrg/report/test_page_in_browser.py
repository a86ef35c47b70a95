"""The pages in headless Chromium: no error in its console, filters and the enlarged picture work."""

import os
import re
import shutil
import subprocess

import caffe
import pytest

from dsrg.io.atomic_files import write_text
from dsrg.report.comparison import groups
from dsrg.report.comparison_page import comparison_page
from dsrg.report.page import page
from tests.conftest import PATIENCE
from tests.dsrg.report.made_run import make_run

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium, chromium-browser or google-chrome on the PATH")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """{name: text} of the page of a run and of one of two runs."""
    folder = tmp_path_factory.mktemp("browser")
    runs = [make_run(folder / name) for name in ("demo", "other")]
    shutil.copy(runs[1] / "segmentations/f/z.png", runs[1] / "segmentations/f/u.png")
    return {"page": page(runs[0], caffe.proto.caffe_pb2),
            "comparison": comparison_page(runs, groups(runs, caffe.proto.caffe_pb2))}


def browsed(text, folder, script=""):
    """The page's document after it was loaded and `script` was run, and what the console said."""
    path = folder / "page.html"
    write_text(path, text.replace("</body>", f"<script>{script}</script></body>"))
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--enable-logging=stderr",
               f"--user-data-dir={folder / 'profile'}", "--dump-dom", path.as_uri()]
    result = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE,
                            env={**os.environ, "HOME": str(folder)})
    assert result.returncode == 0, result.stderr
    console = [line for line in result.stderr.splitlines() if "CONSOLE" in line]
    return result.stdout, console


@pytest.mark.parametrize("name", ["page", "comparison"])
def test_the_console_stays_empty_and_the_script_runs(pages, tmp_path, name):
    document, console = browsed(pages[name], tmp_path)
    assert console == []
    assert '<div class="controls" hidden' in pages[name] and '<div class="controls" hidden' not in document


def test_the_console_is_read_at_all(pages, tmp_path):
    _, console = browsed(pages["page"], tmp_path, "console.error('said'); fetch('https://example.invalid/');")
    assert any("said" in line for line in console)
    assert any("Content Security Policy" in line for line in console), "nothing is loaded from elsewhere"


def test_photos_are_filtered_by_class_and_sorted(pages, tmp_path):
    document, console = browsed(pages["page"], tmp_path, """
        const section = document.querySelector('[data-gallery]');
        for (const [name, value] of [['class', 'cow'], ['order', 'worst']]) {
          const control = section.querySelector(`[name=${name}]`);
          control.value = value;
          control.dispatchEvent(new Event('change'));
        }
        document.title = [...section.querySelectorAll('.entry:not([hidden])')].map(e => e.dataset.id).join(' ')
          + ' / ' + section.querySelector('[role=status]').textContent;""")
    assert console == []
    assert re.search("<title>(.*?)</title>", document).group(1) == "y w u / 3 of 6 photos shown"


def test_a_picture_is_enlarged_and_arrow_keys_go_through_its_row(pages, tmp_path):
    document, console = browsed(pages["page"], tmp_path, """
        const row = document.querySelector('#gallery-val').closest('section').querySelector('.strip');
        row.querySelectorAll('button')[5].click();
        const box = document.querySelector('dialog'), said = [box.open, box.querySelector('p').textContent];
        for (const key of ['ArrowRight', 'ArrowRight', 'ArrowLeft']) {
          box.dispatchEvent(new KeyboardEvent('keydown', {key}));
          said.push(box.querySelector('img').alt);
        }
        box.querySelector('.close').click();
        document.title = [...said, box.open].join(' / ');""")
    assert console == []
    assert re.search("<title>(.*?)</title>", document).group(1) == (
        "true / u: truth: background 83 %, cow 17 % / photo u / static seeds: background 92 %, cow 8 % / photo u / "
        "false")


@pytest.mark.parametrize("name", ["page", "comparison"])
def test_nothing_is_wider_than_a_phone(pages, tmp_path, name):
    """In a frame of 390 pixels; wide tables scroll within themselves."""
    inner = pages[name].replace("&", "&amp;").replace('"', "&quot;")
    frame = f'<!DOCTYPE html><html><body><iframe width="390" height="800" srcdoc="{inner}"></iframe></body></html>'
    document, _ = browsed(frame, tmp_path, """
        addEventListener('load', () => {
          const page = document.querySelector('iframe').contentDocument.documentElement;
          document.title = `${page.clientWidth} ${page.scrollWidth}`; });""")
    width, needed = map(int, re.search(r"<title>(\d+) (\d+)</title>", document).groups())
    assert 300 < width <= 390 and needed <= width
