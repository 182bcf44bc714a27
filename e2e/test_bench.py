"""`martinet bench`: the engine alone, our own server, and servers that misbehave."""
import json
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from conftest import BINARY


def bench(*arguments, env=None, timeout=150):
    done = subprocess.run(
        [BINARY, "bench", *map(str, arguments)], capture_output=True, text=True, timeout=timeout, env=env)
    return done


def result(*arguments, code=0, **options):
    done = bench(*arguments, "--json", **options)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("api", ["completions", "chat"])
def test_counts_of_our_own_server(server, api):
    found = result(
        "serve", "--url", server.url, "--model", "smollm2", "--api", api, "--concurrency", 3, "--requests", 7,
        "--input-tokens", 40, "--output-tokens", 12, "--goodput", "ttft:60000,tpot:0.0001", "--seed", 1)
    assert found["completed"] == 7 and found["failed"] == 0 and found["failures"] == {}
    assert found["total_output_tokens"] == 7 * 12 and found["output_tokens_counted_by"] == "server"
    assert 7 * 30 < found["total_input_tokens"] < 7 * 100
    assert found["request_goodput"] == 0
    for metric in ["ttft", "tpot", "itl", "e2el"]:
        quantiles = [found[f"{name}_{metric}_ms"] for name in ["median", "p90", "p95", "p99"]]
        assert quantiles == sorted(quantiles) and quantiles[0] > 0
    assert found["mean_e2el_ms"] > found["mean_ttft_ms"]
    assert abs(found["output_throughput"] * found["duration"] - 84) < 1e-6
    server.wait_idle()


def test_sweep_prompts_file_and_report_file(server, tmp_path):
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('Once upon a time\n{"messages": [{"role": "user", "content": "Hello"}]}\n')
    output = tmp_path / "report.json"
    done = bench(
        "serve", "--url", server.url + "/v1/", "--model", "smollm2", "--rate", "sweep:20..40..20", "--requests", 4,
        "--prompts", prompts, "--output-tokens", 4, "--output", output)
    assert done.returncode == 0, done.stderr
    assert "time to first token" in done.stdout and done.stdout.count("4 of 4") == 2
    sweep = json.loads(output.read_text())["sweep"]
    assert [level["request_rate"] for level in sweep] == [20, 40]
    assert all(level["completed"] == 4 and level["total_output_tokens"] == 16 for level in sweep)


class FakeHostileUpstream(ThreadingHTTPServer):
    """A stand-in for a server that answers wrongly: how is in the name of the model. Counts what it was asked."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), FakeAnswers)
        self.bodies = []
        self.keys = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        """Clients that leave are what is tested here."""


class FakeAnswers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def chunk(self, text):
        data = text if isinstance(text, bytes) else text.encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.bodies.append(body)
        self.server.keys.append(self.headers["authorization"])
        how = body["model"]
        if how == "close" or how == "close once" and len(self.server.bodies) == 1:
            self.close_connection = True
            return
        if how == "busy" or how == "plain" and ("ignore_eos" in body or "stream_options" in body):
            data = b'{"error": {"message": "Not so.", "type": "x"}}'
            self.send_response(429 if how == "busy" else 400)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        token = 'data: {"choices": [{"index": 0, "text": " a"}]}\n\n'
        if how == "mixed":
            how = ["plain", "html", "cut"][len(self.server.bodies) % 3]
        if how in ("plain", "close once"):
            for _ in range(5):
                self.chunk(token)
            self.chunk("data: [DONE]\n\n")
        elif how == "html":
            self.chunk("data: <html>\n\n")
        elif how == "cut":
            self.chunk(token)
        elif how == "error":
            self.chunk(token + 'data: {"error": {"message": "out of\\u001b memory"}}\n\n')
        elif how == "endless":
            for _ in range(3000):
                self.chunk("data: " + "x" * 65536)
        elif how == "garbage":
            self.wfile.write(b"not a chunk size\r\n\xff\xfe\x00")
            self.wfile.flush()
            self.close_connection = True
            return
        elif how == "hang":
            self.chunk(token)
            time.sleep(20)
        elif how == "abort":
            self.chunk(token)
            self.close_connection = True
            return
        self.wfile.write(b"0\r\n\r\n")


@pytest.fixture
def upstream():
    server = FakeHostileUpstream()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    thread.join(10)
    server.server_close()


@pytest.mark.parametrize("how, kind", [
    ("busy", "http_429"), ("html", "malformed_stream"), ("cut", "truncated_stream"), ("error", "error_in_stream"),
    ("endless", "oversized_stream"), ("garbage", "malformed_http"), ("hang", "timeout"),
    ("abort", "connection_closed"), ("close", "connection_closed")])
def test_failures_are_counted(upstream, how, kind):
    begin = time.monotonic()
    found = result(
        "serve", "--url", upstream.url, "--model", how, "--requests", 5, "--concurrency", 5, "--timeout", 1,
        "--warmup", 0, code=1)
    assert time.monotonic() - begin < 15
    assert found["completed"] == 0 and found["failed"] == 5 and found["failures"] == {kind: 5}
    assert found["mean_ttft_ms"] is None and found["output_throughput"] == 0


def test_some_failures(upstream):
    found = result("serve", "--url", upstream.url, "--model", "mixed", "--requests", 9, "--concurrency", 1, "--warmup", 0)
    assert found["completed"] == 3 and found["failures"] == {"malformed_stream": 3, "truncated_stream": 3}
    assert found["total_output_tokens"] == 15


def test_a_connection_that_closes_before_any_answer_is_opened_again(upstream):
    found = result("serve", "--url", upstream.url, "--model", "close once", "--requests", 1, "--warmup", 0)
    assert found["completed"] == 1 and len(upstream.bodies) == 2


def test_servers_that_know_less(upstream, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "secret")
    done = bench("serve", "--url", upstream.url, "--model", "plain", "--requests", 4, "--api-key-env", "SOME_KEY", "--json")
    assert done.returncode == 0 and "ignore_eos" in done.stderr and "stream_options" in done.stderr
    found = json.loads(done.stdout)
    assert found["completed"] == 4 and found["total_output_tokens"] == 20
    assert found["output_tokens_counted_by"] == "chunks"
    assert set(upstream.keys) == {"Bearer secret"} and "secret" not in done.stdout + done.stderr


def test_nobody_there():
    found = result("serve", "--url", "http://127.0.0.1:9", "--model", "x", "--requests", 3, code=1)
    assert found["failures"] == {"connect": 3}


@pytest.mark.parametrize("flags, word", [
    (["--rate", "often"], "--rate"), (["--goodput", "ttft"], "--goodput"), (["--duration", "5"], "--concurrency"),
    (["--url", "ftp://x"], "--url"), (["--requests", "0"], "--requests"), (["--timeout", "0"], "--timeout"),
    (["--prompts", "/no/such/file"], "/no/such/file")])
def test_flags_that_cannot_be(flags, word):
    done = bench("serve", "--url", "http://127.0.0.1:9", "--model", "x", *flags)
    assert done.returncode != 0 and word in done.stderr


def test_engine_bench():
    found = result(
        "smollm2", "--repetitions", 2, "--prefill", 64, "--decode", 8, "--streams", "1,4", "--seed", 3)
    for name in ["prefill_tokens_per_second", "decode_tokens_per_second", "first_token_ms"]:
        assert 0 < found[name]["min"] <= found[name]["median"] <= found[name]["max"]
    assert set(found["batch_tokens_per_second"]) == {"1", "4"}
    assert found["p99_inter_token_latency_ratio"] > 0
    assert found["inter_token_latency_with_arrivals_ms"]["p99"] >= found["inter_token_latency_with_arrivals_ms"]["p50"]
    assert found["peak_memory_bytes"] > 50e6 and found["start_to_ready_seconds"] > 0
    table = bench("engine", "smollm2", "--repetitions", 1, "--prefill", 16, "--decode", 4, "--streams", 2)
    assert "2 at once" in table.stdout and "p99 with arrivals" in table.stdout
