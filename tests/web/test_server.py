"""The server on a socket: slow and huge requests, many connections, hosts, and its end."""

import socket
from urllib.parse import urlsplit

import pytest

from servers import TOKEN, serving_here
from small_projects import draw_spots

pytest.importorskip("uvicorn", reason="the page needs the extra web")
from biounet.core.errors import ConfigError
from biounet.web import guard, server


@pytest.fixture
def address(tmp_path, monkeypatch):
    """Serve a project in a thread; return host and port."""
    monkeypatch.setattr(server, "PATIENCE", 0.5)
    monkeypatch.setattr(guard, "PATIENCE", 0.5)
    monkeypatch.setattr(server, "CONNECTIONS", 40)
    with serving_here(draw_spots(tmp_path)) as found:
        yield "127.0.0.1", urlsplit(found).port


def ask(address, data, *, wait=5.0):
    """Send bytes and return what comes until the other side closes, or for a while."""
    with socket.create_connection(address, timeout=wait) as connection:
        connection.sendall(data)
        answer = b""
        try:
            while part := connection.recv(65536):
                answer += part
        except (TimeoutError, ConnectionResetError):
            pass
        return answer


def request(address, line="GET /api/project", *headers, body=b"", token=TOKEN):
    words = [f"{line} HTTP/1.1", f"Host: 127.0.0.1:{address[1]}", f"Authorization: Bearer {token}", *headers]
    return "\r\n".join([*words, "", ""]).encode() + body


def test_it_answers_and_prints_an_address_with_a_token(address):
    answer = ask(address, request(address, "GET /api/project", "Connection: close"))
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"server:" not in answer.lower()


def test_a_body_that_never_comes_is_given_up(address):
    slow = request(address, "POST /api/images/0/edits", "Content-Length: 1000", body=b"{")
    assert ask(address, slow).startswith(b"HTTP/1.1 408")


def test_an_endless_body_is_refused(address):
    begun = request(address, "POST /api/images/0/edits", "Transfer-Encoding: chunked")
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    assert ask(address, begun + chunk * 20).startswith(b"HTTP/1.1 413")


def test_a_length_that_is_too_large_is_refused_before_anything_is_read(address):
    assert ask(address, request(address, "POST /api/look", f"Content-Length: {2**40}")).startswith(b"HTTP/1.1 413")


def test_endless_headers_are_refused(address):
    assert b" 400 " in ask(address, b"GET / HTTP/1.1\r\n" + b"X: " + b"a" * 2**20).split(b"\r\n")[0]


def test_connections_that_ask_for_nothing_are_closed_and_others_are_answered(address):
    idle = [socket.create_connection(address, timeout=5) for _ in range(300)]
    for connection in idle[::2]:
        connection.sendall(b"GET / HTTP/1.1\r\n")
    for connection in idle:
        assert connection.recv(100) == b""  # closed
        connection.close()
    answer = ask(address, request(address, "GET /api/project", "Connection: close"))
    assert answer.startswith(b"HTTP/1.1 200")


def test_another_host_on_the_socket_is_refused(address):
    data = b"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    assert ask(address, data).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.7", "example.org", "::"])
def test_other_machines_are_let_in_with_a_chosen_token_only(host, tmp_path):
    with pytest.raises(ConfigError, match="--token"):
        server.serve(tmp_path, host=host)
    server.check_host(host, "long-enough")
    with pytest.raises(ConfigError, match="8 characters"):
        server.check_host(host, "short")


def test_whoever_comes_as_soon_as_the_address_is_said_is_not_refused(tmp_path):
    class Come(Exception):
        pass

    def come(line):
        if line.startswith("open http"):
            port = int(line.rpartition(":")[2].partition("/")[0])
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            raise Come

    with pytest.raises(Come):
        server.serve(draw_spots(tmp_path), port=0, say=come, learn=False)


def test_a_port_that_is_taken_is_told(address, tmp_path):
    with pytest.raises(ConfigError, match=f"port {address[1]}"):
        server.serve(tmp_path, port=address[1])
