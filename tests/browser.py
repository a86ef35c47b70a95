"""Pages in headless Chromium: fixtures for tests that click, type, look at the console and check accessibility.

    from tests.browser import LOOKS, browser, browser_page, console, serious_findings  # noqa: F401

`browser` is one Chromium for a module's tests, `browser_page` a fresh page in it. At the end of a test its console must
be empty: no error, no warning, no exception in a script, nothing refused by the page's own Content-Security-Policy. A
test that provokes one reads `console`, the list of what was said, and clears it.
"""

import shutil

import pytest

from tests.conftest import PATIENCE

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
#: how a page is looked at; a test takes these by parametrizing browser_page with `indirect=True`
LOOKS = {"light": {"color_scheme": "light", "viewport": {"width": 1280, "height": 900}},
         "dark": {"color_scheme": "dark", "viewport": {"width": 1280, "height": 900}},
         "phone": {"color_scheme": "light", "viewport": {"width": 390, "height": 844}, "has_touch": True,
                   "is_mobile": True, "device_scale_factor": 2}}


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium, playwright's Browser; the tests are skipped where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium, chromium-browser or google-chrome on the PATH")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, timeout=1000 * PATIENCE)
        yield started
        started.close()


@pytest.fixture
def console():
    """What the page's console said, as text; empty where all is well."""
    return []


@pytest.fixture
def browser_page(browser, console, request):
    """A page, playwright's Page, in a context of its own: 1280 x 900 in light colours, or as LOOKS says."""
    context = browser.new_context(**LOOKS[getattr(request, "param", "light")])
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.on("console", lambda said: console.append(f"{said.type}: {said.text}")
            if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: console.append(f"exception: {error}"))
    yield page
    context.close()
    assert console == []


def serious_findings(page, within=None):
    """What axe-core finds serious or critical on a page as it is shown now, or within the element of a CSS selector.

    Returns
    -------
    list of str
        '<rule>: <where>', a line a finding.
    """
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, within).response["violations"]
    return [f"{one['id']}: {' '.join(map(str, node['target']))}" for one in found
            if one["impact"] in ("serious", "critical") for node in one["nodes"]]
