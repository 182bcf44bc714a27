"""Remote workers behind mutual TLS: answers, deaths, and strangers."""
import re
import signal
import subprocess
from pathlib import Path

import pytest
from conftest import BINARY, MODEL, Server
from fleet import Load, answers, requests, wait_for, workers
from gateways import lines, written


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> Path:
    """An authority with a worker and a gateway, and a stranger of another authority."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=60)

    names = folder / "names"
    names.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    for authority, members in (("authority", ["worker", "gateway"]), ("others", ["stranger"])):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                "-subj", f"/CN={authority}", "-keyout", f"{authority}.key", "-out", f"{authority}.pem")
        for member in members:
            openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-subj", f"/CN={member}", "-keyout", f"{member}.key", "-out", f"{member}.csr")
            openssl("x509", "-req", "-in", f"{member}.csr", "-CA", f"{authority}.pem", "-CAkey", f"{authority}.key",
                    "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", f"{member}.pem")
    return folder


class Worker:
    """A `martinet worker` process; it can be started again on the port that it had."""

    def __init__(self, log: Path, certificates: Path, port: int = 0):
        self.log, self.certificates = log, certificates
        with open(log, "ab") as errors, open(log.with_suffix(".out"), "wb") as output:
            self.process = subprocess.Popen(
                [BINARY, "worker", MODEL, "--listen", f"127.0.0.1:{port}", "--threads", "1", "--max-num-seqs", "16",
                 "--tls-certificate", certificates / "worker.pem", "--tls-key", certificates / "worker.key",
                 "--tls-client-ca", certificates / "authority.pem", "--log-format", "json"],
                stdin=subprocess.DEVNULL, stdout=output, stderr=errors)

        def listening():
            assert self.process.poll() is None, log.read_text()[-2000:]
            return re.search(r"Ready in .* on (\S+):(\d+)", log.with_suffix(".out").read_text())

        self.port = int(wait_for(listening, 120, "the worker").group(2))

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)

    def again(self) -> "Worker":
        return Worker(self.log, self.certificates, self.port)


def model(certificates: Path, addresses: list[str], who: str = "gateway", **settings) -> dict:
    return {"name": "m", "connect": addresses, "tls_ca": str(certificates / "authority.pem"),
            "tls_certificate": str(certificates / f"{who}.pem"), "tls_key": str(certificates / f"{who}.key")} | settings


@pytest.fixture(scope="module")
def strangers(certificates, tmp_path_factory):
    """Gateways that a worker does not let in, or that do not trust it. They try for a while, so they start early."""
    folder = tmp_path_factory.mktemp("strangers")
    worker = Worker(folder / "worker", certificates)
    plain = {"name": "m", "connect": [worker.address]}
    models = {"stranger": model(certificates, [worker.address], who="stranger"),
              "without-certificate": plain | {"tls_ca": str(certificates / "authority.pem")},
              "without-tls": plain,
              "other-authority": model(certificates, [worker.address], tls_ca=str(certificates / "others.pem"))}
    started = {}
    for name, entry in models.items():
        path = written(folder / f"{name}.yaml", {"models": [entry]})
        with open(folder / f"{name}.log", "wb") as log:
            started[name] = (folder / f"{name}.log", subprocess.Popen(
                [BINARY, "gateway", "--config", path, "--port", "0"], stdin=subprocess.DEVNULL, stdout=log, stderr=log))
    try:
        yield worker, started
    finally:
        for _, process in started.values():
            process.kill()
            process.wait(30)
        worker.kill()


@pytest.fixture(scope="module")
def remote(strangers, certificates, tmp_path_factory):
    folder = tmp_path_factory.mktemp("remote")
    pair = [Worker(folder / f"worker{index}", certificates) for index in range(2)]
    entry = model(certificates, [worker.address for worker in pair], aliases=["alias"])
    gateway = Server(folder / "gateway", "--config", written(folder / "gateway.yaml", {"models": [entry]}), model=None,
                     command="gateway")
    yield gateway, pair
    assert gateway.stop() == 0
    for worker in pair:
        worker.process.send_signal(signal.SIGTERM)
        assert worker.process.wait(60) == 0


def ready(gateway) -> int:
    return sum(worker["state"] == "ready" for worker in workers(gateway))


def test_answers(remote):
    gateway, _ = remote
    assert [model["id"] for model in gateway.client.get("/v1/models").json()["data"]] == ["m", "alias"]
    wait_for(lambda: ready(gateway) == 2, 60, "both workers")
    for name in ("m", "alias"):
        found = gateway.client.post("/v1/completions", json={
            "model": name, "prompt": "The capital of France is", "max_tokens": 5, "temperature": 0})
        assert found.status_code == 200 and "Paris" in found.json()["choices"][0]["text"]
    chat = gateway.client.post("/v1/chat/completions", json={
        "model": "m", "messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 8})
    assert chat.status_code == 200 and chat.json()["usage"]["completion_tokens"] > 0
    # Tokens are counted without a worker.
    assert gateway.client.post("/tokenize", json={"model": "m", "prompt": "one two three"}).json()["count"] > 2
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    assert int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) < 150 << 10


def test_workers_are_started_here_by_nobody(remote):
    gateway, _ = remote
    answered = gateway.client.post("/admin/workers/replace", content="{}", headers={"content-type": "application/json"})
    assert answered.status_code >= 400 and "replace them where they run" in answered.json()["error"]["message"]


def test_a_worker_is_killed_and_comes_back_while_streams_run(remote):
    gateway, pair = remote
    wait_for(lambda: ready(gateway) == 2, 60, "both workers")
    bodies = [body | {"model": "m"} for body in requests(12, tokens=80, seed=31)]
    expected = answers(gateway.url, bodies)
    load = Load(gateway.url, bodies, expected)
    for index in (0, 1):
        before = load.events
        wait_for(lambda: load.events > before + 60, 120, "tokens")
        pair[index].kill()
        wait_for(lambda: ready(gateway) == 1, 60, "the loss")
        before = load.events
        wait_for(lambda: load.events > before + 30, 120, "tokens of the other")
        pair[index] = pair[index].again()
        wait_for(lambda: ready(gateway) == 2, 60, "the worker's return")
    load.finish()
    assert gateway.metric("vllm_requests_failed_total") == 0
    assert gateway.metric("martinet_worker_losses_total", cause="disconnected") == 2
    assert gateway.metric("martinet_stream_resumptions_total", outcome="resumed") > 0
    assert gateway.metric("martinet_stream_resumptions_total", outcome="failed") == 0
    assert [line for line in lines(gateway, "worker") if "lost" in line["event"]]


def test_a_worker_that_drains_loses_nothing(remote):
    gateway, pair = remote
    wait_for(lambda: ready(gateway) == 2, 60, "both workers")
    bodies = [body | {"model": "m"} for body in requests(8, tokens=120, seed=33)]
    expected = answers(gateway.url, bodies)
    load = Load(gateway.url, bodies, expected)
    wait_for(lambda: load.events > 60, 120, "tokens")
    pair[0].process.send_signal(signal.SIGTERM)
    assert pair[0].process.wait(120) == 0
    load.finish()
    assert gateway.metric("vllm_requests_failed_total") == 0
    pair[0] = pair[0].again()
    wait_for(lambda: ready(gateway) == 2, 60, "the worker's return")


@pytest.mark.parametrize("name", ["stranger", "without-certificate", "without-tls", "other-authority"])
def test_strangers_are_refused(strangers, name):
    worker, started = strangers
    log, process = started[name]
    assert process.wait(170) != 0
    said = log.read_text()
    assert worker.address in said and "Ready" not in said
    if name != "without-tls":
        assert re.search("certificate|TLS", said, re.IGNORECASE), said
    assert worker.process.poll() is None


def test_workers_come_and_go_by_a_file_and_by_a_name(certificates, tmp_path):
    """A list that changes while streams run: whoever is on it serves, and nothing is lost."""
    first, second = (Worker(tmp_path / f"worker{index}", certificates) for index in range(2))
    listed = tmp_path / "workers"
    listed.write_text(f"# by hand\n{first.address}\n")
    gateway = Server(tmp_path / "gateway", "--config", written(tmp_path / "gateway.yaml", {"models": [
        model(certificates, [f"file:{listed}"]),
        model(certificates, [f"dns:localhost:{first.port}"]) | {"name": "by-name"}]}), model=None, command="gateway")

    def members() -> list[str]:
        found, = (entry for entry in gateway.client.get("/admin/workers").json()["models"] if entry["model"] == "m")
        return [worker["id"] for worker in found["workers"] if worker["state"] == "ready"]

    assert members() == [first.address]
    bodies = [body | {"model": name} for body in requests(6, tokens=60) for name in ("m", "by-name")]
    expected = answers(gateway.url, bodies)
    load = Load(gateway.url, bodies, expected)
    listed.write_text(f"{first.address}\n\n  {second.address}\n")
    wait_for(lambda: members() == sorted([first.address, second.address]), 60, "the second worker")
    # A list that cannot be read changes nothing.
    listed.write_text("nonsense\n")
    wait_for(lambda: "workers cannot be found" in gateway.log.read_text(), 60, "the complaint")
    assert len(members()) == 2
    listed.write_text(f"{second.address}\n")
    wait_for(lambda: members() == [second.address], 60, "the first worker's leave")
    load.finish()
    assert gateway.stop() == 0
    for worker in (first, second):
        worker.kill()
