"""The documents as a site: built without a warning, nothing loaded from elsewhere, the same content as in files."""

import functools
import http.server
import os
import re
import subprocess
import sys
import threading
from html.parser import HTMLParser

import pytest

from tests.browser import browser, browser_page, console  # noqa: F401
from tests.conftest import PATIENCE, ROOT

MarkdownIt = pytest.importorskip("markdown_it", reason="needs requirements-dev.txt").MarkdownIt
pytest.importorskip("mkdocs", reason="needs requirements-dev.txt")
#: tags whose count in a page says that both readers of Markdown saw the same
STRUCTURE = ("h1", "h2", "h3", "li", "table", "tr", "td", "th", "pre", "img")
LOADING = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "object": "data",
           "link": "href"}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Folder of the site, made by `mkdocs build --strict` without a warning."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True,
                          text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def documents(root=ROOT):
    """Paths from the root of all documents that the site shows."""
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        import site_pages
    finally:
        sys.path.pop(0)
    return site_pages.documents(root)


def page_of(site, document):
    """The HTML file of a document."""
    return site / document.with_name("index.html" if document.name == "README.md" else document.stem + ".html")


class Elements(HTMLParser):
    """Counts of tags within the article, and what the page loads."""

    def __init__(self, text):
        super().__init__()
        self.counts, self.loaded, self._inside = dict.fromkeys(STRUCTURE, 0), [], "<article" not in text
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self._inside |= tag == "article"
        if self._inside and tag in self.counts:
            self.counts[tag] += 1
        if attributes.get(LOADING.get(tag)) and attributes.get("rel") not in ("canonical", "next", "prev"):
            self.loaded.append(attributes[LOADING[tag]])

    def handle_endtag(self, tag):
        if tag == "article":
            self._inside = False


def test_every_document_is_a_page(site):
    assert len(documents()) > 20
    assert [str(path) for path in documents() if not page_of(site, path).is_file()] == []


def test_a_users_experiment_is_no_page_of_the_site(tmp_path):
    """tools.new_experiment writes a README into prototxts/, which no menu names."""
    for name in ("prototxts/README.md", "prototxts/demo/README.md", "prototxts/mine/README.md", "docs/a.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x\n")
    (tmp_path / "README.md").write_text("\n## Experiments\n\n| `demo` | x |\n\n## Commands\n\n| `mine` | x |\n")
    assert [str(path) for path in documents(tmp_path)] == ["README.md", "docs/a.md", "prototxts/README.md",
                                                           "prototxts/demo/README.md"]


@pytest.mark.parametrize("document", documents(), ids=str)
def test_the_page_shows_what_the_repository_shows(site, document):
    """Python-Markdown and CommonMark differ in lists without a blank line before, indented code, pipes in tables."""
    page = Elements(page_of(site, document).read_text(encoding="utf-8"))
    source = (ROOT / document).read_text(encoding="utf-8")
    assert page.counts == Elements(MarkdownIt("commonmark").enable("table").render(source)).counts


def test_nothing_is_loaded_from_elsewhere(site):
    loaded = [(path.name, url) for path in site.rglob("*.html")
              for url in Elements(path.read_text(encoding="utf-8")).loaded]
    assert len(loaded) > 100
    assert [entry for entry in loaded if re.match(r"(https?:)?//", entry[1])] == []
    sheets = [path.read_text(encoding="utf-8") for path in (*site.rglob("*.css"), *site.rglob("*.html"))]
    assert not any(re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", sheet) for sheet in sheets)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Tests print no requests."""


@pytest.fixture
def served(site):
    """Address of the site, served on the loopback."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_browser_asks_nobody_else_and_finds_a_word(served, browser_page):  # noqa: F811
    """The console stays empty, the site itself answers every request, and a search has a result."""
    asked = []
    browser_page.on("request", lambda request: asked.append(request.url))
    browser_page.goto(f"{served}/docs/own-data.html")
    browser_page.click(".md-search__input")
    browser_page.keyboard.type("permutohedral")
    browser_page.wait_for_selector(".md-search-result__item")
    assert "CRF" in browser_page.inner_text(".md-search-result__list")
    assert len(asked) > 3 and all(url.startswith((served, "data:", "blob:")) for url in asked), asked


def test_links_to_chapters_hold_in_the_repository():
    """mkdocs checks those of the site; a code host makes a heading's anchor from its text by a rule of its own."""
    wrong, seen = [], 0
    for document in documents():
        for target, anchor in re.findall(r"\]\(([^)#\s:]*)#([^)\s]+)\)", (ROOT / document).read_text(encoding="utf-8")):
            path = (ROOT / document).parent / target if target else ROOT / document
            seen += 1
            if anchor not in anchors(path.read_text(encoding="utf-8")):
                wrong.append(f"{document}: {target}#{anchor}")
    assert seen > 10 and wrong == []


def anchors(text):
    """Lower case, punctuation dropped, blanks as hyphens, -1 behind a repeated one; code blocks hold no headings."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    found = {}
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", text, re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        found[f"{slug}-{found[slug]}" if slug in found else slug] = 0
        found[slug] = found[slug] + 1
    return set(found)


def test_anchors_are_made_as_a_code_host_makes_them():
    text = "# A `b.py`: c, d\n## 4. Training\n## X\n## X\n```\n# no\n```\n"
    assert anchors(text) == {"a-bpy-c-d", "4-training", "x", "x-1"}
