"""The transport: HTTP/2, TLS, mutual TLS, reload, Unix socket, CORS, limits, slow and broken clients."""
import json
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import h2.connection
import h2.events
import httpx
import openai
import pytest
from conftest import BINARY, ROOT

CERTIFICATES = ROOT / "Tests/MartinetWorkerProtocolTests/Fixtures"
LONG = {"prompt": "Once", "max_tokens": 4000, "ignore_eos": True, "stream": True}


def trust(identity: str | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=CERTIFICATES / "authority.pem")
    if identity:
        context.load_cert_chain(CERTIFICATES / f"{identity}.pem", CERTIFICATES / f"{identity}.key")
    return context


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    from conftest import Server
    folder = tmp_path_factory.mktemp("secure")
    for name in ["worker.pem", "worker.key"]:
        shutil.copy(CERTIFICATES / name, folder / name)
    server = Server(
        folder / "log", "--tls-certificate", folder / "worker.pem", "--tls-key", folder / "worker.key",
        "--unix-socket", folder / "socket", verify=trust())
    server.folder = folder
    yield server
    assert server.process.poll() is None
    assert server.stop() == 0
    assert not (folder / "socket").exists()


def address(server) -> tuple[str, int]:
    host, port = server.url.split("//")[1].split(":")
    return host, int(port)


def peer(server) -> bytes:
    with socket.create_connection(address(server), 10) as plain:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(plain) as secured:
            return secured.getpeercert(True)


@pytest.mark.parametrize("http2", [True, False])
def test_both_versions(secure, http2):
    with httpx.Client(http2=http2, http1=not http2, verify=trust(), base_url=secure.url, timeout=60) as client:
        answer = client.get("/health")
        assert answer.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
        assert answer.headers["x-request-id"] and answer.headers["server-timing"].startswith("total;dur=")
        body = {"prompt": "Once upon a time", "max_tokens": 16, "temperature": 0}
        whole = client.post("/generate", json=body).json()["outputs"][0]["text"]
        # Twenty streams at once, over one connection where it is HTTP/2.
        def stream(_):
            text = ""
            with client.stream("POST", "/generate", json={**body, "stream": True}) as answer:
                for line in answer.iter_lines():
                    if line.startswith("data: {"):
                        text += "".join(output["text"] for output in json.loads(line[6:])["outputs"])
            return text
        with ThreadPoolExecutor(20) as pool:
            assert set(pool.map(stream, range(20))) == {whole}
        assert client.post("/generate", content=b"{" + b" " * (33 << 20)).status_code == 413
    secure.wait_idle()


def test_openai_over_tls(secure):
    client = openai.OpenAI(
        base_url=secure.url + "/v1", api_key="none", max_retries=0,
        http_client=httpx.Client(verify=trust(), http2=True))
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    answer = client.chat.completions.create(model="smollm2", messages=messages, temperature=0, max_tokens=12)
    parts = client.chat.completions.create(
        model="smollm2", messages=messages, temperature=0, max_tokens=12, stream=True)
    text = "".join(part.choices[0].delta.content or "" for part in parts if part.choices)
    assert text == answer.choices[0].message.content and "Paris" in text
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="nobody", messages=messages)


def test_unix_socket(secure):
    path = secure.folder / "socket"
    assert path.stat().st_mode & 0o777 == 0o660
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://local", timeout=60) as client:
        assert client.get("/health").json() == {"status": "healthy"}
        with client.stream("POST", "/generate", json={**LONG, "max_tokens": 8}) as answer:
            assert list(answer.iter_lines())[-2] == "data: [DONE]"
    taken = subprocess.run(
        [BINARY, "serve", "smollm2", "--unix-socket", path, "--no-port"], capture_output=True, text=True, timeout=60)
    assert taken.returncode != 0 and "Another server listens" in taken.stderr
    assert path.exists()


class HTTP2:
    """A connection that does what no polite client does."""

    def __init__(self, server):
        context = trust()
        context.set_alpn_protocols(["h2"])
        self.socket = context.wrap_socket(socket.create_connection(address(server), 30), server_hostname="localhost")
        self.socket.settimeout(30)
        assert self.socket.selected_alpn_protocol() == "h2"
        self.h2 = h2.connection.H2Connection()
        self.h2.initiate_connection()
        self.flush()

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def request(self, path: str, body: dict | None = None) -> int:
        stream = self.h2.get_next_available_stream_id()
        headers = [(":method", "POST" if body else "GET"), (":scheme", "https"), (":authority", "localhost"),
                   (":path", path), ("content-type", "application/json")]
        self.h2.send_headers(stream, headers, end_stream=body is None)
        if body:
            self.h2.send_data(stream, json.dumps(body).encode(), end_stream=True)
        self.flush()
        return stream

    def events(self):
        while data := self.socket.recv(65536):
            yield from self.h2.receive_data(data)
            self.flush()


@pytest.mark.parametrize("stream", [True, False])
def test_reset_of_a_stream_frees_its_slot(secure, stream):
    connection = HTTP2(secure)
    request = connection.request("/generate", {**LONG, "stream": stream})
    if stream:
        next(event for event in connection.events() if isinstance(event, h2.events.DataReceived))
    deadline = time.monotonic() + 20
    while secure.metric("vllm:num_requests_running") != 1:
        assert time.monotonic() < deadline
    connection.h2.reset_stream(request)
    connection.flush()
    secure.wait_idle(10)
    # The connection goes on.
    again = connection.request("/health")
    answer = next(event.data for event in connection.events()
                  if isinstance(event, h2.events.DataReceived) and event.stream_id == again)
    assert answer == b'{"status":"healthy"}'
    connection.socket.close()


@pytest.mark.parametrize("secured", [True, False])
def test_a_killed_client_frees_its_slot(secure, server, secured):
    target = secure if secured else server
    raw = socket.create_connection(address(target), 30)
    raw = trust().wrap_socket(raw, server_hostname="localhost") if secured else raw
    body = json.dumps(LONG)
    raw.sendall(f"POST /generate HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    raw.recv(1000)
    # Without TLS's goodbye, as when a process is killed.
    socket.socket(fileno=raw.detach()).close()
    target.wait_idle(10)


def test_certificates_are_read_again(secure):
    first = peer(secure)
    with httpx.Client(verify=trust(), base_url=secure.url) as client:
        client.get("/health")
        (secure.folder / "worker.key").write_text("nonsense")
        secure.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 15
        while "the certificates stay as they were" not in secure.log.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert peer(secure) == first
        for suffix in ["pem", "key"]:
            shutil.copy(CERTIFICATES / f"frontend.{suffix}", secure.folder / f"worker.{suffix}")
        secure.process.send_signal(signal.SIGHUP)
        while peer(secure) == first:
            assert time.monotonic() < deadline + 15
            time.sleep(0.05)
        # The connection that was open goes on with the certificate it knows.
        assert client.get("/health").status_code == 200
    # Without a signal the change is seen too, a little later.
    for suffix in ["pem", "key"]:
        shutil.copy(CERTIFICATES / f"worker.{suffix}", secure.folder / f"worker.{suffix}")
    deadline = time.monotonic() + 40
    while peer(secure) != first:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_mutual_tls(start):
    server = start(
        "--tls-certificate", CERTIFICATES / "worker.pem", "--tls-key", CERTIFICATES / "worker.key", "--tls-client-ca",
        CERTIFICATES / "authority.pem", verify=trust("frontend"))
    assert server.client.get("/health").status_code == 200
    for identity in [None, "stranger"]:
        with pytest.raises((httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError)):
            httpx.get(server.url + "/health", verify=trust(identity), timeout=10)
    server.client.get("/v1/models", headers={"X-Request-Id": "mutual-1"})
    deadline = time.monotonic() + 5
    while "mutual-1" not in server.log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    record = next(line for line in map(json.loads, server.log.read_text().splitlines())
                  if line.get("request_id") == "mutual-1")
    assert record["client"] == "frontend" and record["remote"] == "127.0.0.1" and record["protocol"] == "HTTP/1.1"
    assert server.stop() == 0


def test_settings_of_the_environment(start, monkeypatch):
    monkeypatch.setenv("MARTINET_TLS_CERTIFICATE", str(CERTIFICATES / "worker.pem"))
    monkeypatch.setenv("MARTINET_TLS_KEY", str(CERTIFICATES / "worker.key"))
    monkeypatch.setenv("MARTINET_CORS_ORIGIN", "https://a.example,https://b.example")
    # Its workers inherit the variables, which mean the server alone.
    server = start(verify=trust())
    assert server.url.startswith("https://")
    answer = server.client.post("/generate", json={"prompt": "Hi", "max_tokens": 2}, headers={"Origin": "https://b.example"})
    assert answer.status_code == 200 and answer.headers["access-control-allow-origin"] == "https://b.example"


def test_wrong_files_and_flags():
    for flags, words in [
            (["--tls-certificate", "a.pem"], "belong together"), (["--tls-client-ca", "a.pem"], "needs"),
            (["--no-port"], "--unix-socket"), (["--unix-socket", "x" * 200], "107"),
            (["--tls-certificate", "no.pem", "--tls-key", "no.key"], "cannot be read"),
            (["--tls-certificate", CERTIFICATES / "worker.pem", "--tls-key", CERTIFICATES / "frontend.key"],
             "do not go together"),
            (["--cors-origin", "chat.example"], "cors-origin"), (["--max-header-bytes", "1"], "max-header-bytes"),
            (["--unix-socket", __file__, "--no-port"], "is no socket")]:
        wrong = subprocess.run(
            [BINARY, "serve", "smollm2", "--port", "0", *flags], capture_output=True, text=True, timeout=60)
        assert wrong.returncode != 0 and words in wrong.stderr, (flags, wrong.stderr)


def test_cors(start):
    server = start("--cors-origin", "https://chat.example")
    asked = server.client.options("/v1/chat/completions", headers={
        "Origin": "https://chat.example", "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type"})
    assert asked.status_code == 204 and asked.headers["access-control-allow-origin"] == "https://chat.example"
    for path in ["/v1/models", "/nowhere"]:
        answer = server.client.get(path, headers={"Origin": "https://chat.example"})
        assert answer.headers["access-control-allow-origin"] == "https://chat.example"
    options = server.client.options("/generate")
    assert options.status_code == 204 and options.headers["allow"] == "POST, OPTIONS"
    assert "access-control-allow-origin" not in server.client.get("/health", headers={"Origin": "https://a.b"}).headers


def test_slow_clients(start):
    server = start("--request-timeout", "1", "--max-connections", "200", "--sse-keep-alive", "0.05",
                   "--max-num-seqs", "1")
    slow = []
    for number in range(150):
        raw = socket.create_connection(address(server), 10)
        if number % 3 == 1:
            raw.sendall(b"POST /generate HTTP/1.1\r\nHo")
        if number % 3 == 2:
            raw.sendall(b"POST /generate HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
        slow.append(raw)
    # Others are served meanwhile.
    assert server.client.post("/generate", json={"prompt": "Hi", "max_tokens": 2}).status_code == 200
    answers = []
    for raw in slow:
        raw.settimeout(20)
        data = b""
        while part := raw.recv(4096):
            data += part
        answers.append(data)
    assert all(answer.startswith(b"HTTP/1.1 408 ") for answer in answers[2::3])
    assert not any(answers[0::3])
    # A stream that waits for its turn says that it lives.
    result = {}

    def wait():
        with httpx.stream("POST", server.url + "/generate", json={**LONG, "max_tokens": 2}, timeout=60) as answer:
            result["text"] = answer.read().decode()

    with httpx.stream("POST", server.url + "/generate", json={**LONG, "max_tokens": 300}, timeout=60) as first:
        lines = first.iter_lines()
        next(lines)
        waiter = threading.Thread(target=wait)
        waiter.start()
        for _ in lines:
            pass
    waiter.join(60)
    assert ": keep-alive\n\n" in result["text"] and result["text"].endswith("data: [DONE]\n\n")
    server.wait_idle()


def test_idle_connections(start):
    server = start()
    memory = server.metric("vllm_memory_usage_bytes")
    count = 4000
    idle = [socket.create_connection(address(server), 30) for _ in range(count)]
    assert server.client.post("/generate", json={"prompt": "Hi", "max_tokens": 2}).status_code == 200
    assert server.metric("vllm_memory_usage_bytes") - memory < count * 64 << 10
    half = idle[0]
    half.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    half.shutdown(socket.SHUT_WR)
    half.settimeout(20)
    data = b""
    while part := half.recv(4096):
        data += part
    assert data.startswith(b"HTTP/1.1 200 OK") and data.endswith(b'{"status":"healthy"}')
    begin = time.monotonic()
    assert server.stop(30) == 0
    assert time.monotonic() - begin < 15
    for raw in idle:
        raw.close()


def test_the_end_of_a_connection_of_http2(start):
    server = start("--tls-certificate", CERTIFICATES / "worker.pem", "--tls-key", CERTIFICATES / "worker.key",
                   verify=trust())
    connection = HTTP2(server)
    request = connection.request("/generate", {**LONG, "max_tokens": 100})
    events = connection.events()
    next(event for event in events if isinstance(event, h2.events.DataReceived))
    silent = HTTP2(server)
    server.process.send_signal(signal.SIGTERM)
    data, ended, told = b"", False, False
    for event in events:
        if isinstance(event, h2.events.DataReceived):
            data += event.data
        if isinstance(event, h2.events.StreamEnded) and event.stream_id == request:
            ended = True
        if isinstance(event, h2.events.ConnectionTerminated):
            told = True
            break
    # The stream ended first, then the connection was told to.
    assert ended and told and data.endswith(b"data: [DONE]\n\n")
    assert any(isinstance(event, h2.events.ConnectionTerminated) for event in silent.events())
    assert server.process.wait(20) == 0
