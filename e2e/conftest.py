"""A real server process on a free port, with the real default model. Every wait is bounded."""
import os
import re
import signal
import ssl
import subprocess
import time
from pathlib import Path

import httpx
import openai
import pytest

ROOT = Path(__file__).resolve().parent.parent
BINARY = Path(os.environ.get("MARTINET_BINARY", ROOT / ".build/release/martinet"))
MODEL = "smollm2"


class Server:
    """One `martinet serve` process."""

    def __init__(self, log: Path, *flags: str, model: str | None = MODEL, command: str = "serve",
                 verify: ssl.SSLContext | bool = True):
        self.log = log
        self.out = log.with_suffix(".out")
        with open(log, "wb") as errors, open(self.out, "wb") as output:
            self.process = subprocess.Popen(
                [BINARY, command, *([model] if model else []), "--port", "0", "--log-format", "json", *flags],
                stdin=subprocess.DEVNULL, stdout=output, stderr=errors)
        self.url = self._ready(60)
        self.client = httpx.Client(base_url=self.url, timeout=120, verify=verify)

    def _ready(self, seconds: float) -> str:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := re.search(r"Ready in .* on (https?://\S+)", self.out.read_text()):
                return found.group(1)
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        self.process.kill()
        raise AssertionError(f"the server did not start: {self.out.read_text()}{self.log.read_text()[-2000:]}")

    def metric(self, name: str, **labels: str) -> float:
        for line in self.client.get("/metrics").text.splitlines():
            head, _, value = line.rpartition(" ")
            if head.split("{")[0] == name and all(f'{k}="{v}"' in head for k, v in labels.items()):
                return float(value)
        raise KeyError(name)

    def wait_idle(self, seconds: float = 15) -> None:
        """Waits until nothing runs or waits and no KV block is held."""
        names = ["vllm:num_requests_running", "vllm:num_requests_waiting", "martinet_kv_blocks_used",
                 "martinet_http_generations"]
        deadline = time.monotonic() + seconds
        while True:
            figures = {name: self.metric(name) for name in names}
            if not any(figures.values()):
                return
            assert time.monotonic() < deadline, figures
            time.sleep(0.05)

    def stop(self, seconds: float = 45) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        finally:
            self.process.kill()
            self.client.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server") / "log")
    yield server
    assert server.process.poll() is None, "the server died during the tests"
    assert server.stop() == 0


@pytest.fixture
def start(tmp_path):
    """Starts further servers with flags of their own."""
    servers = []

    def make(*flags: str, **options) -> Server:
        servers.append(Server(tmp_path / f"log{len(servers)}", *flags, **options))
        return servers[-1]

    yield make
    for server in servers:
        server.process.kill()
        server.process.wait(10)


@pytest.fixture(scope="session")
def client(server):
    return openai.OpenAI(base_url=server.url + "/v1", api_key="none", timeout=120, max_retries=0)


@pytest.fixture(scope="session")
def http(server):
    return server.client
