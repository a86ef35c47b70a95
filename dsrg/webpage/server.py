"""Serves the page on the loopback interface until Ctrl-C."""

import logging
import socket
from pathlib import Path

from werkzeug.serving import WSGIRequestHandler, make_server

from dsrg.io.errors import UserError, note
from dsrg.webpage.app import make_app
from dsrg.webpage.comparison import Comparison

ADDRESS = "127.0.0.1"


class _Handler(WSGIRequestHandler):
    """Says nothing of single requests."""

    def log(self, type, message, *args):
        if type == "error":
            super().log(type, message, *args)


def serve(run, port=None, **options):
    """Open the page and answer until Ctrl-C, which is how it is meant to end.

    Parameters
    ----------
    run : path
    port : int, optional
        By default, or 0, one that is free.
    **options
        As of Comparison.

    Returns
    -------
    int
        Exit status 0.

    Raises
    ------
    UserError
        A port that is taken or not allowed; as of Comparison.
    """
    comparison = Comparison(run, **options)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    try:
        with _listening(port or 0) as listening:
            number = listening.getsockname()[1]
            app = make_app(comparison, Path(run).resolve().name)
            server = make_server(ADDRESS, number, app, threaded=True, request_handler=_Handler, fd=listening.fileno())
        print(f"http://{ADDRESS}:{number}/", flush=True)
        note(f"{run}: {', '.join(comparison.stages.values())}; Ctrl-C ends the page")
        server.serve_forever()      # to Ctrl-C
        note("the page has ended")
    finally:
        comparison.close()
    return 0


def _listening(port):
    """A socket of the port, opened here since werkzeug would end the process where it is taken."""
    listening = socket.socket()
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((ADDRESS, port))
        listening.listen()
    except OSError as error:
        listening.close()
        raise UserError(f"port {port} of {ADDRESS} cannot be used ({error.strerror}); leave --port out for one that is "
                        "free") from None
    return listening
