"""Serves the page on the loopback interface until Ctrl-C."""

import logging
import socket
import sys
import threading
from pathlib import Path

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from dsrg.io.errors import UserError, note
from dsrg.webpage.app import make_app
from dsrg.webpage.comparison import Comparison

ADDRESS = "127.0.0.1"
MOST_AT_ONCE = 32       # connections; each has a thread
PATIENCE = 30           # seconds that a connection may say nothing


class _Handler(WSGIRequestHandler):
    """Says nothing of single requests, and does not wait for ever for the rest of one."""

    def setup(self):
        self.timeout = PATIENCE
        super().setup()

    def log(self, type, message, *args):
        if type == "error":
            super().log(type, message, *args)


class Server(ThreadedWSGIServer):
    """Answers for an application on a socket that listens, whatever is sent there, MOST_AT_ONCE connections at once.

    Parameters
    ----------
    listening : socket.socket
        Of ADDRESS.
    app : WSGI application
    """

    def __init__(self, listening, app):
        super().__init__(ADDRESS, listening.getsockname()[1], app, _Handler, fd=listening.fileno())
        self._free = threading.BoundedSemaphore(MOST_AT_ONCE)

    def process_request(self, request, client_address):
        """Answer in a thread of its own; a connection beyond the bound is closed.

        Parameters
        ----------
        request : socket.socket
        client_address : tuple
        """
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:        # no further thread
            self._free.release()
            self.shutdown_request(request)

    def process_request_thread(self, request, client_address):
        """Answer a request, and make room for another whatever becomes of it.

        Parameters
        ----------
        request : socket.socket
        client_address : tuple
        """
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request, client_address):
        """One line: what is sent is a stranger's, and requests that are none end here.

        Parameters
        ----------
        request : socket.socket
        client_address : tuple
        """
        note(f"a request was not answered: {type(sys.exception()).__name__}")


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
            server = Server(listening, make_app(comparison, Path(run).resolve().name))
        print(f"http://{ADDRESS}:{server.port}/", flush=True)
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
