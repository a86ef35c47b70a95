"""The pages in headless Chromium: an empty console, filters, the enlarged picture, keyboard, accessibility."""

import re
import shutil
import time

import caffe
import pytest

from dsrg.io.atomic_files import write_text
from dsrg.pipeline.run_record import RECORD
from dsrg.report.comparison import groups
from dsrg.report.comparison_page import comparison_page
from dsrg.report.page import REFRESH, page
from tests.browser import LOOKS, browser, browser_page, console, serious_findings  # noqa: F401 (fixtures)
from tests.dsrg.pipeline.test_live_page import record
from tests.dsrg.report.made_run import make_run
from tests.dsrg.report.test_page import GROWTH


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """{name: path} of the page of a run and of one of two runs."""
    folder = tmp_path_factory.mktemp("browser")
    runs = [make_run(folder / name) for name in ("demo", "other")]
    shutil.copy(runs[1] / "segmentations/f/z.png", runs[1] / "segmentations/f/u.png")
    texts = {"page": page(runs[0], caffe.proto.caffe_pb2, GROWTH),
             "comparison": comparison_page(runs, groups(runs, caffe.proto.caffe_pb2))}
    for name, text in texts.items():
        write_text(folder / f"{name}.html", text)
    return {name: folder / f"{name}.html" for name in texts}


@pytest.fixture
def shown(browser_page, pages):  # noqa: F811
    browser_page.goto(pages["page"].as_uri())
    return browser_page


@pytest.mark.parametrize("browser_page", LOOKS, indirect=True)
@pytest.mark.parametrize("name", ["page", "comparison"])
def test_nothing_serious_hinders_anyone_and_nothing_is_too_wide(pages, browser_page, name):  # noqa: F811
    """In light and in dark colours and on a phone, with all details open and with a picture enlarged."""
    browser_page.goto(pages[name].as_uri())
    browser_page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert serious_findings(browser_page) == []
    width, needed = browser_page.evaluate("(p => [p.clientWidth, p.scrollWidth])(document.documentElement)")
    assert needed <= width, "wide tables scroll within themselves"
    browser_page.locator(".strip button").first.click()
    assert browser_page.locator("dialog").is_visible()
    assert serious_findings(browser_page, "dialog") == []


def test_axe_finds_what_is_wrong(browser_page):  # noqa: F811
    browser_page.set_content('<html lang="en"><title>x</title><main><h1>x</h1><img src="data:,"><select></select>')
    assert [line.split(":")[0] for line in serious_findings(browser_page)] == ["image-alt", "select-name"]


def test_the_console_is_read_at_all(shown, console):  # noqa: F811
    """And nothing can be loaded from elsewhere."""
    shown.evaluate("console.error('said'); fetch('https://example.invalid/').catch(() => 0);")
    shown.evaluate("setTimeout(() => { throw new Error('thrown'); })")
    shown.wait_for_timeout(100)
    assert "error: said" in console and any("Content Security Policy" in line for line in console)
    assert any("thrown" in line for line in console)
    console.clear()


def test_photos_are_filtered_by_class_and_sorted(shown):
    section = shown.locator("[data-gallery]").first
    section.get_by_role("combobox", name="Class").select_option("cow")
    section.get_by_role("combobox", name="Order").select_option("worst first")
    assert [e.get_attribute("data-id") for e in section.locator(".entry:visible").all()] == ["y", "w", "u"]
    assert section.get_by_role("status").inner_text() == "3 of 6 photos shown"


def test_a_picture_is_enlarged_and_arrow_keys_go_through_its_row(shown):
    row = shown.locator("#gallery-val").locator("xpath=..").locator(".strip").first
    row.get_by_role("button").nth(5).click()
    box, said = shown.locator("dialog"), []
    said.append(box.locator("p").inner_text())
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
        shown.keyboard.press(key)
        said.append(box.locator("img").get_attribute("alt"))
    assert said == ["u: truth: background 83 %, cow 17 %", "photo u", "static seeds: background 92 %, cow 8 %",
                    "photo u"]
    box.get_by_role("button", name="close").click()
    assert not box.is_visible()


def test_the_keyboard_reaches_filters_and_pictures_and_closes_with_escape(shown):
    """Nothing but Tab, Enter and Escape; afterwards the focus is where it was."""
    focus = "(e => e.name || e.className || e.closest('.strip') && e.innerText || e.innerText)(document.activeElement)"
    shown.keyboard.press("Tab")
    seen = [shown.evaluate(focus)]
    assert seen == ["skip"]
    while not (seen[-1] or "").strip() == "photo" or "order" not in seen:
        assert len(seen) < 100, seen
        shown.keyboard.press("Tab")
        seen.append(shown.evaluate(focus))
    assert ["class", "order", "over"] == [name for name in seen if name in ("class", "order", "over")][:3]
    shown.keyboard.press("Enter")
    assert shown.locator("dialog").is_visible()
    shown.keyboard.press("Escape")
    assert not shown.locator("dialog").is_visible()
    assert shown.evaluate(focus).strip() == "photo"


def test_a_page_of_a_run_that_goes_on_renews_itself_and_leaves_the_reader_where_he_was(pages, browser_page):  # noqa: F811
    """Scrolled, filtered, with details open and a picture enlarged, though something came in above meanwhile."""
    folder = pages["page"].parent / "demo"
    record(folder)
    path = folder / "report.html"
    path.write_text(page(folder, caffe.proto.caffe_pb2, GROWTH))
    (folder / RECORD).unlink()
    browser_page.clock.install()
    browser_page.goto(path.as_uri())
    assert "The run goes on, stage 2 of 3, train-s: 300 of 400 iterations" in browser_page.locator(".live").inner_text()
    section = browser_page.locator("#gallery-val").locator("xpath=..")
    section.get_by_role("combobox", name="Class").select_option("cow")
    section.get_by_label("maps over the photo").check()
    browser_page.locator("summary", has_text="IoU of each class as numbers").click()
    browser_page.evaluate("document.querySelector('#gallery-val').scrollIntoView()")
    section.locator(".entry:visible").first.get_by_role("button").nth(2).click()
    top = browser_page.evaluate("document.querySelector('#gallery-val').getBoundingClientRect().top")
    path.write_text(path.read_text().replace('<main id="main">', '<main id="main"><div id="new">new</div>'))
    browser_page.clock.run_for(1000 * REFRESH + 1)
    browser_page.locator("#new").wait_for()
    browser_page.locator("dialog[open]").wait_for()
    assert browser_page.locator("dialog p").inner_text().startswith("u: stage s: ")
    assert [e.get_attribute("data-id") for e in section.locator(".entry:visible").all()] == ["u", "w", "y"]
    assert section.get_by_label("maps over the photo").is_checked()
    assert browser_page.locator("details[open] summary").first.inner_text() == "IoU of each class as numbers"
    now = browser_page.evaluate("document.querySelector('#gallery-val').getBoundingClientRect().top")
    assert abs(now - top) < 3


def test_a_page_without_news_says_so(pages, browser_page):  # noqa: F811
    folder = pages["page"].parent / "demo"
    record(folder)
    text = re.sub('data-made="[0-9]+"', f'data-made="{int(time.time()) - 3600}"', page(folder, caffe.proto.caffe_pb2))
    (folder / RECORD).unlink()
    browser_page.set_content(text)
    assert "No news for 60 minutes" in browser_page.locator(".live").inner_text()
    assert "renews itself" not in pages["page"].read_text(), "the page of a finished run has nothing of it"


def test_a_page_shows_everything_without_its_script(browser, pages):  # noqa: F811
    context = browser.new_context(java_script_enabled=False)
    without = context.new_page()
    without.goto(pages["page"].as_uri())
    assert without.locator("#gallery-val").locator("xpath=..").locator(".entry:visible").count() == 6
    assert not without.locator(".controls").first.is_visible()
    assert re.match("demo", without.title())
    context.close()
