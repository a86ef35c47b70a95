"""Raw requests to the local page: whatever is sent, the server says one line at most and answers the next."""

import contextlib
import socket
import threading
import time

import pytest

from dsrg.webpage import server

GOOD = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def app(environ, start_response):
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"here"]


@pytest.fixture
def port(monkeypatch):
    monkeypatch.setattr(server, "PATIENCE", 0.5)
    monkeypatch.setattr(server, "MOST_AT_ONCE", 4)
    with server._listening(0) as listening:
        serving = server.Server(listening, app)
    thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield serving.port
    serving.shutdown()
    thread.join()
    serving.server_close()


def ask(port, data):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as asking, contextlib.suppress(ConnectionError):
        asking.sendall(data)
        return b"".join(iter(lambda: asking.recv(65536), b""))


@pytest.mark.parametrize("request_bytes", [
    b"GET http://[/ HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\0\xff\x16\x03\r\n\r\n", b"GET /" + b"a" * 70000 + b"\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 300 + b"\r\n"])
def test_what_is_no_request_gives_no_traceback_and_the_next_is_answered(port, request_bytes, capfd):
    ask(port, request_bytes)
    assert b"here" in ask(port, GOOD)
    said = capfd.readouterr().err
    assert "Traceback" not in said and said.count("\n") <= 1


@pytest.mark.parametrize("half", [b"GET / HTTP/1.1\r\nHost: loc", b"GET /\r\n", b"", b"\r\n",
                                  b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nxx"])
def test_a_request_that_does_not_go_on_is_closed(port, half, capfd):
    began = time.monotonic()
    assert b"here" not in (ask(port, half) or b"")
    assert time.monotonic() - began < 15
    assert "Traceback" not in capfd.readouterr().err


def test_connections_that_are_held_take_no_thread_beyond_the_limit(port):
    before = threading.active_count()
    held = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
    time.sleep(0.2)
    assert threading.active_count() - before <= 4
    for one in held:
        one.close()
    for _ in range(100):
        if b"here" in (ask(port, GOOD) or b""):
            return
        time.sleep(0.05)
    raise AssertionError("no answer after the connections were closed")
