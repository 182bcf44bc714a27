"""Configuration files: what they set, what is wrong with them, and what changes while the server runs."""
import os
import signal
import subprocess
import threading

import pytest
from conftest import BINARY
from fleet import Load, alive, answer, answers, requests, wait_for
from gateways import JSON, lines, written


def models(server) -> list[str]:
    return [model["id"] for model in server.client.get("/v1/models").json()["data"]]


def pids(server) -> dict[str, list[int]]:
    """The workers' processes by model."""
    return {model["model"]: [worker["pid"] for worker in model["workers"] if worker["state"] == "ready"]
            for model in server.client.get("/admin/workers").json()["models"]}


def reload_by_route(server) -> list[str]:
    answered = server.client.post("/admin/reload", content="{}", headers=JSON)
    assert answered.status_code == 200, answered.text
    return answered.json()["changes"]


def reload_by_signal(server) -> list[str]:
    """Reloads by SIGHUP; what changed stands in the log."""
    def done() -> int:
        return len(lines(server, "reloaded")) + len(lines(server, "not reloaded: everything stays as it was"))

    before, changes = done(), len(lines(server, "configuration"))
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: done() > before, 120, "the reload")
    return [line["change"] for line in lines(server, "configuration")[changes:]]


def text(server, model: str) -> str:
    found = server.client.post("/v1/completions", json={
        "model": model, "prompt": "The capital of France is", "max_tokens": 8, "temperature": 0})
    assert found.status_code == 200, found.text
    return found.json()["choices"][0]["text"]


SMALL = {"model": "smollm2", "max_num_seqs": 8}


@pytest.mark.parametrize("reload", [reload_by_route, reload_by_signal])
def test_models_come_change_and_go(start, tmp_path, reload):
    path = tmp_path / "serve.yaml"
    one, two = {"name": "one"} | SMALL, {"name": "two", "model": "gemma3-270m", "max_num_seqs": 8}
    server = start("--config", written(path, {"models": [one]}), model=None)
    assert models(server) == ["one"]
    bodies = [body | {"model": "one"} for body in requests(6, tokens=100, seed=21)]
    expected = answers(server.url, bodies)
    first = pids(server)["one"]

    # The same file changes nothing.
    assert reload(server) == []
    assert pids(server) == {"one": first}

    load = Load(server.url, bodies, expected)
    wait_for(lambda: load.events > 50, 120, "tokens")
    # A model is added; the other does not notice.
    written(path, {"models": [one, two]})
    assert reload(server) == ["model two added"]
    assert models(server) == ["one", "two"]
    assert text(server, "one") != text(server, "two")
    assert pids(server)["one"] == first

    # A setting changes: new workers for new requests, and streams under way end with their whole text.
    before = load.events
    written(path, {"models": [one | {"max_num_seqs": 12, "aliases": ["uno"]}, two]})
    assert reload(server) == ["model one changed"]
    assert models(server) == ["one", "uno", "two"]
    assert not set(pids(server)["one"]) & set(first)
    wait_for(lambda: load.events > before + 100, 120, "tokens")
    wait_for(lambda: not any(alive(pid) for pid in first), 120, "the old workers' end")

    # A model goes; a stream that it has under way ends with its whole text.
    long = {"model": "two", "prompt": "Once upon a time", "max_tokens": 200, "temperature": 0, "ignore_eos": True,
            "stream": True, "stream_options": {"include_usage": True}}
    whole = answer(server.url, long)
    gone = pids(server)["two"]
    found, events = [], []
    thread = threading.Thread(target=lambda: found.append(answer(server.url, long, lambda: events.append(1))))
    thread.start()
    wait_for(lambda: len(events) > 3, 120, "tokens")
    written(path, {"models": [one]})
    assert sorted(reload(server)) == ["model one changed", "model two removed"]
    assert models(server) == ["one"]
    refused = server.client.post("/v1/completions", json={"model": "two", "prompt": "a"})
    assert refused.status_code == 404 and "`two`" in refused.json()["error"]["message"]
    thread.join(120)
    assert found == [whole]
    wait_for(lambda: not any(alive(pid) for pid in gone), 120, "the removed model's end")
    load.finish()
    assert server.metric("vllm_requests_failed_total") == 0
    assert server.stop() == 0


BROKEN = {
    "no-yaml": ("models: [", "not valid YAML"),
    "unknown-setting": ("models: [{name: one, model: smollm2, max_num_sequences: 4}]",
                        "models[0].max_num_sequences"),
    "no-such-model": ("models: [{name: one, model: smollm2}, {name: two, model: no-such-model}]", "no-such-model"),
    "twice": ("models: [{name: one, model: smollm2}, {name: one, model: gemma3-270m}]", "`one`"),
    "does-not-fit": ("models: [{name: one, model: smollm2, max_model_len: 4096000}]", "4096000"),
}


def test_a_broken_file_changes_nothing(start, tmp_path):
    path = tmp_path / "serve.yaml"
    server = start("--config", written(path, {"models": [{"name": "one"} | SMALL]}), model=None)
    before, expected = pids(server), text(server, "one")
    for name, (content, says) in BROKEN.items():
        path.write_text(content)
        answered = server.client.post("/admin/reload", content="{}", headers=JSON)
        assert answered.status_code >= 400, name
        assert says in answered.json()["error"]["message"], (name, answered.text)
        assert reload_by_signal(server) == []
        said = lines(server, "not reloaded: everything stays as it was")[-1]
        assert said["level"] == "error" and says in said["error"], (name, said)
        assert models(server) == ["one"] and pids(server) == before and text(server, "one") == expected
    path.unlink()
    answered = server.client.post("/admin/reload", content="{}", headers=JSON)
    assert answered.status_code >= 400 and str(path) in answered.json()["error"]["message"]
    assert server.client.get("/readyz").status_code == 200
    # And a good file is taken again.
    written(path, {"models": [{"name": "other"} | SMALL]})
    assert sorted(reload_by_route(server)) == ["model one removed", "model other added"]
    assert text(server, "other") == expected
    assert server.stop() == 0


def test_upstreams_come_and_go(start, tmp_path):
    server = start("--max-num-seqs", "8", "--threads", "1")
    path = tmp_path / "gateway.yaml"
    pool = {"serves": "m", "name": "p", "upstreams": [{"url": server.url, "models": {"m": "smollm2", "n": "smollm2"}}]}
    gateway = start("--config", written(path, {"upstreams": [pool]}), model=None, command="gateway")
    long = {"model": "m", "prompt": "Once upon a time", "max_tokens": 300, "temperature": 0, "ignore_eos": True,
            "stream": True, "stream_options": {"include_usage": True}}
    whole = answer(gateway.url, long)
    found, events = [], []
    thread = threading.Thread(target=lambda: found.append(answer(gateway.url, long, lambda: events.append(1))))
    thread.start()
    wait_for(lambda: len(events) > 3, 120, "tokens")
    written(path, {"upstreams": [pool | {"serves": ["n"], "max_attempts": 2}]})
    assert reload_by_route(gateway) == ["upstreams p changed"]
    assert models(gateway) == ["n"]
    assert text(gateway, "n")
    thread.join(120)
    assert found == [whole]
    # An upstream without its key is no reason to lose those that there are.
    written(path, {"upstreams": [pool | {"upstreams": [{"url": server.url, "api_key_file": "/does/not/exist"}]}]})
    answered = gateway.client.post("/admin/reload", content="{}", headers=JSON)
    assert answered.status_code >= 400 and "/does/not/exist" in answered.json()["error"]["message"]
    assert models(gateway) == ["n"] and text(gateway, "n")
    assert gateway.stop() == 0


@pytest.mark.parametrize("flag, variable, file, expected", [
    (None, None, 512, 512), (None, 640, 512, 640), (768, 640, 512, 768), (768, None, 512, 768), (None, 640, None, 640),
])
def test_flags_win_over_variables_and_those_over_the_file(start, tmp_path, monkeypatch, flag, variable, file, expected):
    configuration = {"models": [{"name": "one"} | SMALL]}
    if file:
        configuration["max_model_len"] = file
    if variable:
        monkeypatch.setenv("MARTINET_MAX_MODEL_LEN", str(variable))
    flags = ["--max-model-len", str(flag)] if flag else []
    server = start("--config", written(tmp_path / "serve.yaml", configuration), *flags, model=None)
    listed, = server.client.get("/v1/models").json()["data"]
    assert listed["max_model_len"] == expected


def test_a_models_own_settings_win_over_the_files(start, tmp_path):
    configuration = {"max_model_len": 512, "models": [
        {"name": "one"} | SMALL, {"name": "two", "max-model-len": 640} | SMALL]}
    server = start("--config", written(tmp_path / "serve.yaml", configuration), model=None)
    lengths = {model["id"]: model["max_model_len"] for model in server.client.get("/v1/models").json()["data"]}
    assert lengths == {"one": 512, "two": 640}


def refused(*arguments: str) -> str:
    """What a command says that must not start."""
    ended = subprocess.run([BINARY, *arguments, "--port", "0"], stdin=subprocess.DEVNULL, capture_output=True,
                           text=True, timeout=120)
    assert ended.returncode != 0, ended.stdout
    assert ended.stderr.strip()
    assert "Fatal error" not in ended.stderr
    return ended.stderr


MODEL = {"name": "one", "model": "smollm2"}
POOL = {"name": "p", "serves": "m", "upstreams": [{"url": "http://127.0.0.1:1"}]}


@pytest.mark.parametrize("configuration, says", [
    ("models: [", "not valid YAML"),
    ("[1, 2]", "must be a mapping"),
    ({"max_num_sequences": 4, "models": [MODEL]}, "`max_num_sequences`"),
    ({"max_num_seqs": "many", "models": [MODEL]}, "max_num_seqs"),
    ({"max_num_seqs": [4], "models": [MODEL]}, "max_num_seqs must be a single value"),
    ({"max_num_seqs": 0, "models": [MODEL]}, "max-num-seqs"),
    ({"models": MODEL}, "models must be a list"),
    ({"models": ["smollm2"]}, "models[0] must be a mapping"),
    ({"models": [MODEL, {"model": "smollm2"}]}, "models[1].name"),
    ({"models": [{"name": "one"}]}, "models[0] needs either `model`"),
    ({"models": [MODEL | {"connect": ["127.0.0.1:1"]}]}, "models[0] needs either `model`"),
    ({"models": [MODEL | {"colour": "red"}]}, "models[0].colour"),
    ({"models": [MODEL | {"workers": "two"}]}, "`workers`"),
    ({"models": [MODEL | {"routing_policy": "luck"}]}, "prefix-affinity"),
    ({"models": [MODEL, MODEL]}, "`one`"),
    ({"models": [MODEL | {"aliases": ["one"]}]}, "`one`"),
    ({"models": [MODEL], "upstreams": [POOL | {"serves": ["one"]}]}, "`one`"),
    ({"models": [{"name": "one", "connect": ["somewhere"]}]}, "one.connect"),
    ({"models": [{"name": "one", "connect": ["127.0.0.1:1"], "tls_ca": "ca", "tls_certificate": "c"}]}, "tls_key"),
    ({"models": [{"name": "one", "model": "no-such-model"}]}, "no-such-model"),
    ({"upstreams": [{"upstreams": POOL["upstreams"]}]}, "upstreams[0].serves"),
    ({"upstreams": [{"serves": "m"}]}, "upstreams[0]"),
    ({"upstreams": [POOL | {"upstreams": []}]}, "upstreams[0]"),
    ({"upstreams": [POOL | {"max_attempts": 0}]}, "max_attempts"),
    ({"upstreams": [POOL | {"max_attempts": "three"}]}, "max_attempts"),
    ({"upstreams": [POOL | {"retries": 3}]}, "retries"),
    ({"upstreams": [POOL | {"breaker": {"failure_share": 2}}]}, "breaker.failure_share"),
    ({"upstreams": [POOL, POOL | {"serves": "n", "upstreams": [{"url": "ftp://somewhere"}]}]}, "upstreams[1]"),
    ({"upstreams": [POOL | {"upstreams": [{"url": "http://user:word@127.0.0.1"}]}]}, "password"),
    ({"upstreams": [POOL | {"upstreams": [{"url": "http://127.0.0.1:1", "headers": {"Authorization": "x"}}]}]},
     "Authorization"),
    ({"upstreams": [POOL, POOL]}, "`m`"),
])
def test_files_that_are_wrong(tmp_path, configuration, says):
    path = tmp_path / "serve.yaml"
    if isinstance(configuration, str):
        path.write_text(configuration)
    else:
        written(path, configuration)
    for command in ("serve", "gateway"):
        message = refused(command, "--config", str(path))
        if command == "gateway" and "but a gateway starts no workers" in message:
            continue
        assert says in message, message


def test_files_that_are_not_there(tmp_path):
    assert str(tmp_path) in refused("serve", "--config", str(tmp_path))
    assert str(tmp_path / "none") in refused("serve", "--config", str(tmp_path / "none"))
    assert "--config" in refused("gateway")
    (tmp_path / "empty").write_text("")
    assert "--config" in refused("gateway", "--config", str(tmp_path / "empty"))
    (tmp_path / "binary").write_bytes(os.urandom(4096))
    assert str(tmp_path / "binary") in refused("serve", "--config", str(tmp_path / "binary"))


def test_a_gateway_starts_no_workers(tmp_path):
    path = written(tmp_path / "gateway.yaml", {"models": [MODEL]})
    assert "`one`" in refused("gateway", "--config", path)


def test_one_of_two_models_cannot_start(tmp_path):
    broken = {"name": "two", "worker_start_timeout": 0.001} | SMALL
    path = written(tmp_path / "serve.yaml", {"models": [{"name": "one"} | SMALL, broken]})
    assert "The model two did not start" in refused("serve", "--config", path)


def test_a_reload_with_a_model_that_cannot_start_keeps_what_there_is(start, tmp_path):
    path = tmp_path / "serve.yaml"
    server = start("--config", written(path, {"models": [{"name": "one"} | SMALL]}), model=None)
    before = pids(server)
    broken = {"name": "two", "worker_start_timeout": 0.001} | SMALL
    written(path, {"models": [{"name": "one"} | SMALL, broken]})
    answered = server.client.post("/admin/reload", content="{}", headers=JSON)
    assert answered.status_code >= 400 and "two did not start" in answered.json()["error"]["message"]
    assert models(server) == ["one"] and pids(server) == before and text(server, "one")
    # Nothing keeps the next reload out.
    written(path, {"models": [{"name": "one"} | SMALL, {"name": "two"} | SMALL]})
    assert reload_by_route(server) == ["model two added"]
    assert server.stop() == 0
