"""The local page in headless Chromium: the command as it is typed, photos uploaded, dropped, refused, in each look."""

import os
import signal
import subprocess
import sys

import pytest
from PIL import Image

from tests.browser import LOOKS, browser, browser_page, console, serious_findings  # noqa: F401
from tests.coloured_run import make_coloured_run, scene
from tests.conftest import PATIENCE, ROOT


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("web")
    (folder / "mine").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENGINE", "embedded")
        patch.chdir(folder / "mine")
        make_coloured_run(folder / "mine", ("static", "s", "f", "full"))
    Image.fromarray(scene(3, 300, 400)).save(folder / "holiday.jpg", quality=95)
    Image.fromarray(scene(1, 300, 400)).save(folder / "second.tif")
    (folder / "letter.jpg").write_text("Dear all")
    with open(folder / "film.png", "wb") as file:
        file.truncate((64 << 20) + 1)
    return folder


@pytest.fixture(scope="module")
def address(folder):
    """The page's address, of the command in a process of its own; Ctrl-C ends it with status 0 and no traceback."""
    process = subprocess.Popen([sys.executable, "-m", "tools.segment", str(folder / "mine"), "--web"], cwd=ROOT,
                               env={**os.environ, "ENGINE": "embedded"}, text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    yield process.stdout.readline().strip()
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 0 and "Traceback" not in said and said.endswith("the page has ended\n"), said


def choose(page, path):
    page.set_input_files("#file", path)
    page.wait_for_function("name => document.querySelector('#progress').textContent === `${name}: done`", arg=path.name)


@pytest.mark.parametrize("browser_page", LOOKS, indirect=True)
def test_a_photo_is_segmented_by_every_stage(browser_page, address, folder):  # noqa: F811
    """Real upload, real nets; axe-core finds nothing serious before and after; nothing is wider than the screen."""
    page = browser_page
    page.goto(address)
    assert serious_findings(page) == []
    choose(page, folder / "holiday.jpg")
    assert page.locator("#photo-size").text_content() == "holiday.jpg, 400 × 300"
    labels = page.locator(".stage .stack").evaluate_all("all => all.map(one => one.getAttribute('aria-label'))")
    assert len(labels) == 8
    assert labels[0].startswith("static seeds without CRF: background ") and " red " in labels[0]
    assert labels[7].startswith("fully supervised with CRF: background ")
    shown = page.locator("#legend tbody tr:visible th").all_text_contents()
    assert shown == ["background", "red", "blue"]
    shares = page.locator('#legend tr td[data-stage="f"][data-crf="1"]').all_text_contents()
    assert sum(map(float, shares)) == pytest.approx(100, abs=0.2)
    page.wait_for_function("() => [...document.images].every(one => !one.getAttribute('src') || one.complete)")
    assert serious_findings(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    if where := os.environ.get("DSRG_SCREENSHOTS"):
        dark, width = page.evaluate("[matchMedia('(prefers-color-scheme: dark)').matches, innerWidth]")
        page.screenshot(path=f"{where}/web-{'dark' if dark else width}.png", full_page=True)


def test_pointer_opacity_keyboard_and_download(browser_page, address, folder):  # noqa: F811
    page = browser_page
    page.goto(address)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "file", "the first stop is the choice of a photo"
    choose(page, folder / "holiday.jpg")
    stack = page.locator('.stage[data-stage="f"] .stack').nth(1)
    stack.scroll_into_view_if_needed()
    box = stack.bounding_box()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.25 * box["height"])     # within the red box
    cells = page.locator("#pointer tbody tr").nth(2).locator("th, td").all_text_contents()
    assert cells[:3] == ["stage f", "red", "red"] and cells[3].startswith("red ")
    assert stack.locator(".cross").get_attribute("data-class") == "red"
    assert page.locator(".cross:visible").count() == 8, "the same place in every picture"
    stack.focus()
    for _ in range(25):
        page.keyboard.press("ArrowDown")        # into the blue box
    assert page.locator("#pointer tbody tr").nth(2).locator("td").first.text_content() == "blue"
    for _ in range(25):
        page.keyboard.press("ArrowRight")       # beside it: background, whose pixels are transparent
    assert page.locator("#pointer tbody tr").nth(2).locator("td").first.text_content() == "background"
    page.locator("#pointer tbody td:last-child").first.evaluate(
        "one => { one.textContent = 'background 58 %, police car 27 %, motorcycle 9 % (not calibrated)'; }")
    assert page.locator("#pointer").evaluate("one => one.offsetWidth <= one.parentElement.clientWidth"), "cut off"
    page.locator("#opacity").fill("20")
    assert page.locator(".stack .map").first.evaluate("one => getComputedStyle(one).opacity") == "0.2"
    assert page.locator("#opacity-value").text_content() == "20 %"
    with page.expect_download() as download:
        page.locator('.stage[data-stage="f"] .save').nth(1).click()
    assert download.value.suggested_filename == "holiday-f-crf.png"
    with Image.open(download.value.path()) as image:
        assert image.mode == "P" and image.size == (400, 300) and set(image.tobytes()) == {0, 1, 2}


def test_what_is_refused_is_said_on_the_page_and_the_next_photo_works(browser_page, address, folder, console):  # noqa: F811
    page = browser_page
    page.goto(address)
    for name, message in (("letter.jpg", "photo letter.jpg is not a readable picture"),
                          ("film.png", "film.png has 64 MiB, expected at most 64; shrink it")):
        page.set_input_files("#file", folder / name)
        page.wait_for_selector("#message:not([hidden])")
        assert message in page.locator("#message").text_content()
    assert serious_findings(page, "#message") == []
    assert page.locator("#results").is_hidden()
    choose(page, folder / "second.tif")         # which a browser alone does not show
    assert page.locator("#message").is_hidden()
    assert page.locator("#photo-shown").evaluate("one => one.naturalWidth") == 400
    assert [text for text in console if "422" not in text] == []    # Chromium itself tells of the refusal
    console.clear()


def test_a_dropped_file(browser_page, address, folder):  # noqa: F811
    page = browser_page
    page.goto(address)
    data = list((folder / "holiday.jpg").read_bytes())
    transfer = page.evaluate_handle("""data => { const held = new DataTransfer();
        held.items.add(new File([new Uint8Array(data)], 'dropped.jpg', {type: 'image/jpeg'})); return held; }""", data)
    page.dispatch_event("body", "drop", {"dataTransfer": transfer})
    page.wait_for_function("() => document.querySelector('#progress').textContent === 'dropped.jpg: done'")
    page.dispatch_event("body", "drop", {"dataTransfer": page.evaluate_handle("new DataTransfer()")})
    assert "that was no file" in page.locator("#message").text_content()


def test_a_page_elsewhere_cannot_upload(browser_page, address, console):  # noqa: F811
    """From another origin: no preflight is answered with leave, and a plain form has no token."""
    page = browser_page
    page.goto("about:blank")
    said = page.evaluate("""async address => {
        const tries = [{mode: 'no-cors'}, {headers: {'X-Page-Token': 'x'}}];
        return Promise.all(tries.map(one => fetch(address + 'photo', {method: 'POST', body: 'x', ...one})
            .then(answer => answer.type, error => error.name)));
    }""", address)
    assert said == ["opaque", "TypeError"] or said == ["TypeError", "TypeError"]
    console.clear()
