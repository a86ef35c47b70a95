"""The local page's answers: what it gives, what it refuses, and that it keeps nothing."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from dsrg import load
from dsrg.io.errors import UserError
from dsrg.webpage import app as app_module
from dsrg.webpage.app import TOKEN, make_app
from dsrg.webpage.comparison import Comparison
from dsrg.webpage.server import serve
from tests.coloured_run import CLASSES, make_coloured_run, scene

ORIGIN = "http://127.0.0.1:5000"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of two stages."""
    folder = tmp_path_factory.mktemp("work") / "mine"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENGINE", "embedded")
        patch.chdir(folder)
        make_coloured_run(folder, ("static", "f"))
    return folder


@pytest.fixture(scope="module")
def comparison(run):
    found = Comparison(run)
    yield found
    found.close()


@pytest.fixture(scope="module")
def client(comparison):
    """A browser that has read the page and holds its token."""
    client = make_app(comparison, "mine").test_client()
    page = client.get("/", base_url=ORIGIN)
    client.token = re.search(r'name="page-token" content="([^"]{30,})"', page.text)[1]
    return client


def post(client, path, data, name="a.png", **headers):
    return client.post(path, data=data, base_url=ORIGIN,
                       headers={TOKEN: client.token, "X-File-Name": name, **headers})


def png(array, **options):
    file = io.BytesIO()
    Image.fromarray(array).save(file, format="PNG", **options)
    return file.getvalue()


def pixels(url):
    head, text = url.split(",", 1)
    assert head in ("data:image/png;base64", "data:image/jpeg;base64")
    with Image.open(io.BytesIO(base64.b64decode(text))) as image:
        image.load()
        return image


def test_maps_shares_and_scores_are_those_of_load(client, run):
    image = scene(2)
    for stage in ("static", "f"):
        answer = post(client, f"/segment/{stage}", png(image)).get_json()
        model = load(run, stage)
        scored = model.score(image)
        for got, crf in zip(answer["maps"], (False, True), strict=True):
            expected = model.label(scored, crf)
            assert got["crf"] is crf
            for name in ("map", "file"):
                np.testing.assert_array_equal(np.asarray(pixels(got[name])), expected.labels)
            assert dict(zip(CLASSES, got["shares"], strict=True)) == pytest.approx(expected.shares())
        cells = answer["scores"]
        values = np.frombuffer(base64.b64decode(cells["values"]), np.uint8).reshape(cells["height"], cells["width"], 3)
        assert (cells["height"], cells["width"]) == (48, 64)
        exact = np.exp(scored.scores - scored.scores.max(axis=2, keepdims=True))
        exact /= exact.sum(axis=2, keepdims=True)
        assert np.abs(values.mean(axis=(0, 1)) / 255 - exact.mean(axis=(0, 1))).max() < 0.01
        assert values[6:20, 10:16, 1].min() > 127, "red where the red box is"


def test_a_photo_is_shown_upright_and_at_a_size_to_look_at(client):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = png(np.ascontiguousarray(np.rot90(scene(1, 900, 1500))), exif=exif)
    answer = post(client, "/photo", turned).get_json()
    assert (answer["width"], answer["height"]) == (1500, 900)
    assert pixels(answer["photo"]).size == (1200, 720)
    maps = post(client, "/segment/f", turned).get_json()["maps"]
    assert pixels(maps[0]["map"]).size == (1200, 720) and pixels(maps[0]["file"]).size == (1500, 900)


@pytest.mark.parametrize(("data", "message"), [
    (b"<html>", "photo a.png is not a readable picture"),
    (b"", "a.png is empty; choose another file"),
    (png(scene(0))[:900], "photo a.png"),
])
def test_what_is_no_picture_is_refused_in_a_line(client, data, message):
    answer = post(client, "/photo", data)
    error = answer.get_json()["error"]
    assert answer.status_code == 422 and message in error and "\n" not in error


def test_what_is_too_large_is_refused_in_a_line(client, monkeypatch):
    monkeypatch.setenv("DSRG_MAX_MEGAPIXELS", "0.001")
    answer = post(client, "/photo", png(scene(0)))
    assert answer.status_code == 422
    assert "80x60 = 0 megapixels, expected at most 0.001 megapixels" in answer.get_json()["error"]
    monkeypatch.setitem(client.application.config, "MAX_CONTENT_LENGTH", 1000)
    answer = post(client, "/photo", b"\xff" * 1001)
    assert answer.status_code == 413 and answer.get_json()["error"] == "the file has more than 64 MiB; shrink it"


def test_names_of_files_are_shown_harmless(client):
    answer = post(client, "/photo", b"x", name="%1B%5B31m%0A%3Cb%3E" + "a" * 400)
    assert answer.get_json()["error"].startswith(r"photo \x1b[31m\n<b>aaa") and len(answer.get_json()["error"]) < 400


@pytest.mark.parametrize("host", ["evil.example", "evil.example:5000", "127.0.0.1.evil.example", "[::1]:5000", "0.0.0.0"
                                  ])
def test_other_hosts_are_refused(client, host):
    """A page elsewhere whose name is pointed at 127.0.0.1 would else read photos and answers."""
    for path in ("/", "/static/page.js"):
        assert client.get(path, base_url=f"http://{host}").status_code in (400, 403)
    assert client.get("/", base_url="http://localhost:5000").status_code == 200


def test_uploads_need_the_pages_token_and_no_origin_is_allowed(client):
    for token in ("", "wrong", client.token[:-1], "ä"):
        answer = client.post("/segment/f", data=png(scene(0)), base_url=ORIGIN,
                             headers={TOKEN: token, "Origin": "https://evil.example"})
        assert answer.status_code == 403 and "reload it" in answer.get_json()["error"]
    preflight = client.options("/segment/f", base_url=ORIGIN, headers={
        "Origin": "https://evil.example", "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": TOKEN})
    for answer in (preflight, post(client, "/photo", png(scene(0)), Origin="https://evil.example")):
        assert not [name for name in dict(answer.headers) if name.startswith("Access-Control")]


def test_the_page_loads_nothing_from_elsewhere(client):
    for path in ("/", "/static/page.js", "/static/page.css"):
        with client.get(path, base_url=ORIGIN) as answer:
            assert answer.status_code == 200
            policy = answer.headers["Content-Security-Policy"].split("; ")
            assert policy[:4] == ["default-src 'none'", "script-src 'self'", "style-src 'self'",
                                  "img-src 'self' data: blob:"]
            assert not re.search(r"https?:|//\w+\.", re.sub(r"^\s*//.*$", "", answer.text, flags=re.MULTILINE))


def test_nothing_is_written(client, run, monkeypatch):
    """Not even a temporary file: Werkzeug would spool forms of more than 500 KB to the disk."""
    import tempfile

    def refused(*arguments, **options):
        raise AssertionError("a temporary file")

    before = sorted(path for path in run.rglob("*"))
    with monkeypatch.context() as patch:
        for name in ("SpooledTemporaryFile", "TemporaryFile", "NamedTemporaryFile", "mkstemp"):
            patch.setattr(tempfile, name, refused)
        noisy = np.random.default_rng(0).integers(0, 256, (500, 600, 3), np.uint8)
        data = png(noisy)
        assert len(data) > 800_000
        assert post(client, "/photo", data).status_code == 200
        assert post(client, "/segment/f", data).status_code == 200
    assert sorted(path for path in run.rglob("*")) == before


def test_an_unknown_stage_and_path(client):
    assert post(client, "/segment/full", png(scene(0))).get_json()["error"] == "stage 'full': this run has static, f"
    assert client.get("/etc/passwd", base_url=ORIGIN).status_code == 404
    assert client.get("/segment/f", base_url=ORIGIN).status_code == 405


def test_the_page_names_stages_and_classes_with_their_colours(client):
    text = client.get("/", base_url=ORIGIN).text
    stages = re.findall(r'data-stage="(\w+)" data-title="([\w ]+)"', text)
    assert stages == [("static", "static seeds"), ("f", "stage f")]
    assert re.findall(r'fill="(#\w{6})"(?: fill-opacity="0")?/></svg>(\w+)</th>', text) == [
        ("#000000", "background"), ("#800000", "red"), ("#008000", "blue")]
    assert json.dumps(app_module.MOST_UPLOAD) in text


def test_a_port_that_is_taken_is_said(run):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UserError, match=r"port \d+ of 127\.0\.0\.1 cannot be used \(Address already in use\)"):
            serve(run, taken.getsockname()[1])


def test_a_run_without_segmentations_is_said(tmp_path):
    (tmp_path / "models").mkdir()
    with pytest.raises(UserError, match="run its stage 'segment' first"):
        Comparison(tmp_path)
