"""Start, stop, queue limits, metrics, commands."""
import json
import shutil
import signal
import socket
import subprocess
import threading
import time

import httpx
from conftest import BINARY
from prometheus_client.parser import text_string_to_metric_families


def stream(server, result, **fields):
    body = {"prompt": "Once", "max_tokens": 120, "ignore_eos": True, "stream": True, "temperature": 0, **fields}
    with httpx.stream("POST", server.url + "/generate", json=body, timeout=60) as answer:
        result["status"] = answer.status_code
        result["lines"] = []
        for line in answer.iter_lines():
            if line:
                result["lines"].append(line)


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_sigterm_lets_a_stream_end(start):
    server = start()
    result = {}
    thread = threading.Thread(target=stream, args=(server, result))
    # A connection that says nothing must not hold up the end.
    host, port = server.url.removeprefix("http://").split(":")
    silent = socket.create_connection((host, int(port)), 5)
    thread.start()
    wait_for(lambda: len(result.get("lines", [])) > 3)
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.1)
    draining = httpx.get(server.url + "/readyz", timeout=5)
    assert draining.status_code == 503 and draining.json()["status"] == "draining"
    refused = httpx.post(server.url + "/generate", json={"prompt": "a"}, timeout=5)
    assert refused.status_code == 503 and refused.json()["error"]["code"] == "draining"
    assert "retry-after" in refused.headers
    thread.join(40)
    assert not thread.is_alive()
    assert result["lines"][-1] == "data: [DONE]"
    assert json.loads(result["lines"][-2][6:])["usage"]["completion_tokens"] == 120
    assert server.process.wait(15) == 0
    silent.close()


def test_drain_is_bounded(start):
    server = start("--drain-timeout", "1")
    result = {}
    thread = threading.Thread(target=stream, args=(server, result), kwargs={"max_tokens": 7000})
    thread.start()
    wait_for(lambda: len(result.get("lines", [])) > 3)
    begin = time.monotonic()
    assert server.stop(20) == 0
    assert time.monotonic() - begin < 12
    thread.join(10)
    # The stream was cut, and said so.
    assert any('"finish_reason":"abort"' in line for line in result["lines"])


def test_sigint_when_idle(start):
    server = start()
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(10) == 0


def test_queue_full(start):
    server = start("--max-num-seqs", "1", "--max-waiting", "1")
    results = [{} for _ in range(2)]
    threads = [threading.Thread(target=stream, args=(server, result), kwargs={"max_tokens": 800}) for result in results]
    threads[0].start()
    wait_for(lambda: server.metric("vllm:num_requests_running") == 1)
    threads[1].start()
    wait_for(lambda: server.metric("vllm:num_requests_waiting") == 1)
    answer = server.client.post("/v1/completions", json={"prompt": "a"})
    assert answer.status_code == 429
    assert answer.json()["error"]["type"] == "rate_limit_error"
    assert int(answer.headers["retry-after"]) >= 1
    for thread in threads:
        thread.join(60)
    assert all(result["lines"][-1] == "data: [DONE]" for result in results)
    server.wait_idle()


def test_metrics(server):
    server.client.post("/generate", json={"prompt": "Hello", "max_tokens": 8})
    text = server.client.get("/metrics").text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    for name, kind in {
            "vllm_requests": "counter", "vllm_requests_success": "counter", "vllm_requests_failed": "counter",
            "vllm_request_latency_seconds": "histogram", "vllm_batch_size": "gauge", "vllm_gpu_utilization": "gauge",
            "vllm_memory_usage_bytes": "gauge", "vllm_tokens_generated": "counter", "vllm_tokens_per_second": "gauge",
            "vllm:num_requests_running": "gauge", "vllm:num_requests_waiting": "gauge",
            "vllm:kv_cache_usage_perc": "gauge", "vllm:time_to_first_token_seconds": "histogram",
            "vllm:inter_token_latency_seconds": "histogram", "vllm:e2e_request_latency_seconds": "histogram",
            "vllm:prompt_tokens": "counter", "vllm:generation_tokens": "counter", "vllm:request_success": "counter",
            "martinet_build_info": "gauge"}.items():
        assert families[name].type == kind, name
    assert server.metric("vllm_tokens_generated_total") >= 1
    assert server.metric("vllm_memory_usage_bytes") > 50e6
    assert server.metric("vllm:generation_tokens_total", model_name="smollm2") >= 1
    if promtool := shutil.which("promtool"):
        checked = subprocess.run([promtool, "check", "metrics"], input=text, text=True, capture_output=True, timeout=30)
        # Its lints dislike vLLM's colons; what must not be is a parse error.
        assert "error" not in checked.stderr.lower(), checked.stderr


def test_logs_are_json(server):
    server.client.get("/v1/models", headers={"X-Request-Id": "logged-1"})
    wait_for(lambda: "logged-1" in server.log.read_text(), 5)
    records = [json.loads(line) for line in server.log.read_text().splitlines()]
    record = next(r for r in records if r.get("request_id") == "logged-1")
    assert record["status"] == 200 and record["path"] == "/v1/models" and record["level"] == "info"


def run(*arguments, **options):
    return subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=60, **options)


def test_commands(server, tmp_path):
    assert run("--version").stdout.strip()
    assert "serve" in run("--help").stdout
    assert "martinet" in run("--generate-completion-script", "bash").stdout
    assert run("health", "--url", server.url).returncode == 0
    assert run("health", "--url", "http://127.0.0.1:9").returncode != 0
    missing = run("serve", "no-such-model")
    assert missing.returncode != 0 and "pull" in missing.stderr
    port = server.url.rsplit(":", 1)[1]
    taken = run("serve", "smollm2", "--port", port)
    assert taken.returncode != 0 and "in use" in taken.stderr
    for flags, words in [
            (["--tensor-parallel-size", "2"], "tensor-parallel-size must be 1"), (["--dtype", "int3"], "dtype"),
            (["--instruction-set", "mmx"], "scalar"),
            (["--max-num-seqs", "0"], "max-num-seqs"), (["--gpu-memory-utilization", "1.5"], "gpu-memory-utilization"),
            (["--port", "70000"], "port"), (["--max-model-len", "1000000"], "max_model_len"),
            (["--quantization", "awq"], "quantization")]:
        wrong = run("serve", "smollm2", *flags)
        assert wrong.returncode != 0 and words in wrong.stderr, (flags, wrong.stderr)


def test_environment(start, monkeypatch):
    monkeypatch.setenv("MARTINET_MAX_MODEL_LEN", "64")
    monkeypatch.setenv("MARTINET_SERVED_MODEL_NAME", "tiny,small")
    server = start()
    models = server.client.get("/v1/models").json()["data"]
    assert [m["id"] for m in models] == ["tiny", "small"] and models[0]["max_model_len"] == 64


def test_chat_command(server):
    piped = run("chat", "smollm2", "--url", server.url, "--temperature", "0", "--max-tokens", "12",
                input="What is the capital of France?")
    assert piped.returncode == 0 and "Paris" in piped.stdout
    local = run("chat", "smollm2", "--temperature", "0", "--max-tokens", "12", input="What is the capital of France?")
    assert local.returncode == 0 and "Paris" in local.stdout
    lost = run("chat", "--url", "http://127.0.0.1:9", input="hi")
    assert lost.returncode != 0 and "does not answer" in lost.stderr
