"""What the tests of the gateway share: configuration files, log lines, and upstreams that misbehave."""
import contextlib
import json
import os
import signal
import socket
import threading
from pathlib import Path

from fleet import alive, wait_for

JSON = {"content-type": "application/json"}


def written(path: Path, configuration: dict) -> str:
    """A configuration file; JSON is YAML."""
    path.write_text(json.dumps(configuration, indent=1))
    return str(path)


def lines(server, message: str) -> list[dict]:
    """The log's lines with a message."""
    found = []
    for line in server.log.read_text().splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            if (entry := json.loads(line)).get("message") == message:
                found.append(entry)
    return found


def kill(server) -> None:
    """Ends a server and its workers at once, as the end of a machine would."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    server.process.send_signal(signal.SIGKILL)
    for child in map(int, children):
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    server.process.wait(30)
    wait_for(lambda: not any(alive(int(child)) for child in children), 30, "the workers' end")


def event(text: str, **more) -> bytes:
    """A chunk of a completion."""
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": None} | more
    chunk = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "rogue", "choices": [choice]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def head(status: str = "200 OK", kind: str = "text/event-stream", **headers: str) -> bytes:
    """The head of an answer that ends with its connection."""
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nConnection: close\r\n{more}\r\n".encode()


class Rogue:
    """A server that reads a request and answers with bytes that are not what it promised."""

    def __init__(self, behave):
        self.behave = behave
        self.requests: list[tuple[dict, bytes]] = []
        self._over = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(60)
            if (request := self._read(connection)) is None:
                return
            self.requests.append(request)
            self.behave(self, connection)

    @staticmethod
    def _read(connection: socket.socket) -> tuple[dict, bytes] | None:
        data = b""
        while b"\r\n\r\n" not in data:
            if not (more := connection.recv(65536)):
                return None
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in
                   (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:])}
        while len(body) < int(headers.get("content-length", 0)):
            if not (more := connection.recv(65536)):
                return None
            body += more
        return headers, body

    def hang(self) -> None:
        """Keeps a connection open until the tests end."""
        self._over.wait(120)

    def close(self) -> None:
        self._over.set()
        self._socket.close()
