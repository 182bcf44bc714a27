"""Workers: rolling replacement, crash loops, drain, several models, and what is left behind."""
import os
import shutil
import signal
import time

import httpx
import pytest
from conftest import BINARY
from fleet import Load, alive, answer, answers, ready, requests, wait_for, workers

JSON = {"content-type": "application/json"}


def test_rolling_replacement_under_load(start):
    server = start("--workers", "2", "--max-num-seqs", "16")
    bodies = requests(16, tokens=80, seed=3)
    expected = answers(server.url, bodies)
    load = Load(server.url, bodies, expected)
    for _ in range(3):
        wait_for(lambda: load.events > 0)
        before = set(ready(server))
        answered = server.client.post("/admin/workers/replace", content="{}", headers=JSON)
        assert answered.status_code == 200, answered.text
        after = set(ready(server))
        assert len(after) == 2 and not before & after
        assert not any(alive(pid) for pid in before)
    load.finish()
    assert server.metric("vllm_requests_failed_total") == 0
    assert server.stop() == 0


def test_a_killed_worker_loses_no_token_of_a_chat(start):
    server = start()
    body = {"messages": [{"role": "user", "content": "Write a long story about a lighthouse."}], "max_tokens": 200,
            "temperature": 0.7, "seed": 5, "stream": True, "stream_options": {"include_usage": True}}
    expected = answer(server.url, body, path="/v1/chat/completions")
    seen = []

    def kill_in_the_middle():
        seen.append(1)
        if len(seen) == 40:
            os.kill(ready(server)[0], signal.SIGKILL)

    assert answer(server.url, body, kill_in_the_middle, path="/v1/chat/completions") == expected
    assert server.metric("martinet_stream_resumptions_total", outcome="resumed") == 1


def test_without_a_worker_the_server_is_not_ready_and_recovers(start):
    server = start()
    assert server.client.get("/readyz").status_code == 200
    pid, = ready(server)
    os.kill(pid, signal.SIGKILL)
    # A request that comes meanwhile waits for the worker.
    found = server.client.post("/v1/completions", json={"prompt": "a", "max_tokens": 3})
    assert found.status_code == 200
    wait_for(lambda: server.client.get("/readyz").status_code == 200)
    assert ready(server) != [pid]
    state, = workers(server)
    assert state["restarts"] == 1
    assert server.metric("martinet_workers", state="ready") == 1


def test_a_crash_loop_is_given_up(start, tmp_path):
    model = tmp_path / "model.gguf"
    shutil.copy(os.path.expanduser("~/.cache/martinet/models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"), model)
    server = start(model=str(model))
    pid, = ready(server)
    model.unlink()
    os.kill(pid, signal.SIGKILL)
    # Nothing is left to serve with: the process says so and ends.
    assert server.process.wait(120) != 0
    assert "model.gguf" in server.log.read_text()


def test_two_models(start):
    server = start("--model", "one=smollm2", "--model", "two=gemma3-270m", "--workers", "1", model=None)
    models = [model["id"] for model in server.client.get("/v1/models").json()["data"]]
    assert models == ["one", "two"]
    texts = {}
    for name in models:
        found = server.client.post("/v1/completions", json={
            "model": name, "prompt": "The capital of France is", "max_tokens": 8, "temperature": 0})
        assert found.status_code == 200 and found.json()["model"] == name
        texts[name] = found.json()["choices"][0]["text"]
    assert texts["one"] != texts["two"]
    unknown = server.client.post("/v1/completions", json={"model": "three", "prompt": "a"})
    assert unknown.status_code == 404
    assert "one" in unknown.json()["error"]["message"] and "two" in unknown.json()["error"]["message"]
    assert server.metric("vllm:generation_tokens_total", model_name="one") == 8
    assert server.metric("vllm:generation_tokens_total", model_name="two") == 8
    # The death of one model's worker does not touch the other.
    two = [model["workers"][0]["pid"] for model in server.client.get("/admin/workers").json()["models"]
           if model["model"] == "two"]
    os.kill(two[0], signal.SIGKILL)
    assert server.client.post("/v1/completions", json={"model": "one", "prompt": "a"}).status_code == 200
    assert server.stop() == 0


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_no_worker_outlives_the_server(start, how):
    server = start("--workers", "2")
    pids = ready(server)
    assert len(pids) == 2
    server.process.send_signal(how)
    server.process.wait(30)
    wait_for(lambda: not any(alive(pid) for pid in pids), 30, "the workers' end")


def test_in_process(start):
    server = start("--in-process")
    assert server.client.get("/admin/workers").status_code == 404
    children = open(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read()
    assert children == ""
    found = server.client.post("/v1/completions", json={"prompt": "a", "max_tokens": 3})
    assert found.status_code == 200


def test_probes_have_a_port_of_their_own(start):
    server = start("--health-port", "0")
    port = wait_for(lambda: next((line.split('"port":"')[1].split('"')[0] for line in
                                  server.log.read_text().splitlines() if "probes are answered" in line), None))
    probe = f"http://127.0.0.1:{port}"
    assert httpx.get(probe + "/livez").json() == {"status": "alive"}
    assert httpx.get(probe + "/readyz").status_code == 200
    assert "vllm_requests_total" in httpx.get(probe + "/metrics").text
    assert httpx.get(probe + "/v1/models").status_code == 404
    assert httpx.post(probe + "/health").status_code == 405
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(30)
