"""The page as a Flask application, for this machine's own browser alone.

What guards it: requests that name another host are refused (a name that somebody points at 127.0.0.1 opens nothing);
uploads need a token that only the page knows, in a header, which no form of another page can send; no header allows
other origins; the page loads nothing from elsewhere. Photos are a request's body, held in memory while it is answered.
"""

import secrets
from urllib.parse import unquote, urlsplit

import jinja2
from flask import Flask, Response, abort, jsonify, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from dsrg.io import voc
from dsrg.io.errors import UserError, printable
from dsrg.io.picture_files import most_megapixels

MOST_UPLOAD = 64 << 20    # bytes of a file
HOSTS = ("127.0.0.1", "localhost")
TOKEN = "X-Page-Token"
POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
          "base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
HEADERS = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
           "Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
           "Cache-Control": "no-store"}


def make_app(comparison, title):
    """The application.

    Parameters
    ----------
    comparison : dsrg.webpage.comparison.Comparison
    title : str
        The run, as the page calls it.

    Returns
    -------
    flask.Flask
        Routes: / (the page), /static/.., POST /photo and /segment/<stage> with a file as the body, its name in the
        header X-File-Name (percent-encoded): JSON, or {"error": a line} with a status from 400 on.
    """
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = MOST_UPLOAD
    app.jinja_env.undefined = jinja2.StrictUndefined
    token = secrets.token_urlsafe(32)

    @app.before_request
    def only_from_this_page():
        host = urlsplit(f"//{request.host}")
        if host.hostname not in HOSTS:
            abort(403, f"this page is for {' and '.join(HOSTS)} alone")
        if request.method == "POST" and not secrets.compare_digest(request.headers.get(TOKEN, "").encode(),
                                                                   token.encode()):
            abort(403, "this page was opened before the command was started again; reload it")

    @app.after_request
    def guarded(response):
        response.headers.update(HEADERS)
        return response

    @app.get("/")
    def page():
        classes = [{"name": name, "colour": "#" + bytes(colour).hex()}
                   for name, colour in zip(comparison.classes, voc.palette().tolist(), strict=False)]
        text = app.jinja_env.get_template("page.html").render(
            title=title, token=token, stages=comparison.stages, classes=classes, most_upload=MOST_UPLOAD,
            most_megapixels=most_megapixels())
        return Response(text, mimetype="text/html")

    @app.post("/photo")
    def photo():
        return jsonify(comparison.photo(*_upload()))

    @app.post("/segment/<stage>")
    def segment(stage):
        return jsonify(comparison.segment(stage, *_upload()))

    @app.errorhandler(UserError)
    def refused(error):
        return jsonify(error=printable(" ".join(str(error).split()))), 422

    @app.errorhandler(RequestEntityTooLarge)
    def too_large(error):
        return jsonify(error=f"the file has more than {MOST_UPLOAD >> 20} MiB; shrink it"), 413

    @app.errorhandler(HTTPException)
    def other(error):
        return jsonify(error=error.description), error.code

    return app


def _upload():
    """Bytes and name of the file that a request carries."""
    name = printable(unquote(request.headers.get("X-File-Name", "photo")))[:200]
    data = request.get_data(cache=False)
    if not data:
        raise UserError(f"{name} is empty; choose another file")
    return data, name
