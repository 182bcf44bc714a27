"""The gateway in front of whole servers: what passes through, and what survives a server's death."""
import json
import re
import threading
from pathlib import Path

import httpx
import openai
import pytest
from conftest import Server
from fleet import answer, answers, requests, wait_for
from gateways import JSON, kill, lines, written

NO_PROBE = {"probe": {"enabled": False}}


def upstream(server, **settings) -> dict:
    return {"url": server.url} | NO_PROBE | settings


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("servers")
    servers = [Server(folder / f"log{index}", "--threads", "1", "--max-num-seqs", "16") for index in range(2)]
    yield servers
    ends = [server.stop() for server in servers]
    assert ends == [0, 0]


@pytest.fixture(scope="module")
def gateway(servers, tmp_path_factory):
    folder = tmp_path_factory.mktemp("gateway")
    configuration = {"upstreams": [
        {"serves": ["smollm2", "chat"], "name": "one",
         "upstreams": [upstream(servers[0], name="first", models={"chat": "smollm2"})]},
        {"serves": "both", "name": "both",
         "upstreams": [upstream(server, name=name, models={"both": "smollm2"})
                       for name, server in zip(("first", "second"), servers)]},
        {"serves": ["unknown-there"], "name": "strange", "upstreams": [upstream(servers[0], name="first")]},
    ]}
    gateway = Server(folder / "log", "--config", written(folder / "gateway.yaml", configuration), model=None,
                     command="gateway")
    yield gateway
    assert gateway.stop() == 0


def plain(body: dict) -> dict:
    """An answer without what differs from one to the next."""
    return {key: value for key, value in body.items() if key not in ("id", "created")}


@pytest.mark.parametrize("path, body", [
    ("/v1/completions", {"prompt": "The capital of France is", "max_tokens": 12, "temperature": 0, "logprobs": 1}),
    ("/v1/completions", {"prompt": ["One", "Two"], "max_tokens": 4, "n": 2, "seed": 4}),
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 12, "seed": 2}),
])
def test_an_answer_passes_as_it_is(servers, gateway, path, body):
    body |= {"model": "smollm2"}
    direct = httpx.post(servers[0].url + path, json=body, timeout=60)
    passed = gateway.client.post(path, json=body)
    assert passed.status_code == 200
    assert passed.headers["x-martinet-upstream"] == "first"

    def without_cached(answer):
        answer["usage"].pop("prompt_tokens_details", None)
        return plain(answer)

    assert without_cached(passed.json()) == without_cached(direct.json())


def test_streams_of_many_kinds_pass_as_they_are(servers, gateway):
    bodies = requests(12, tokens=24, seed=8)
    expected = answers(servers[0].url, bodies)
    assert answers(gateway.url, [body | {"model": "both"} for body in bodies]) == expected
    # Each member had some of them.
    seen = {line["upstreams"] for line in lines(gateway, "request") if line.get("upstreams")}
    assert {"first", "second"} <= seen


@pytest.mark.parametrize("asked", [True, False])
def test_usage_comes_at_a_streams_end_only_where_it_was_asked_for(gateway, asked):
    body = {"model": "chat", "messages": [{"role": "user", "content": "Count to five."}], "max_tokens": 10,
            "temperature": 0, "stream": True} | ({"stream_options": {"include_usage": True}} if asked else {})
    with gateway.client.stream("POST", "/v1/chat/completions", json=body) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        request_id = stream.headers["x-request-id"]
        events = [line[6:] for line in stream.iter_lines() if line.startswith("data: ")]
    assert events.pop() == "[DONE]"
    chunks = [json.loads(event) for event in events]
    assert any(chunk.get("usage") for chunk in chunks) == asked
    assert all(chunk["choices"] for chunk in chunks[:-1])
    # The gateway knows the usage either way.
    line, = wait_for(lambda: [line for line in lines(gateway, "request") if line["request_id"] == request_id])
    assert line["completion_tokens"] == 10 and line["prompt_tokens"] > 0 and line["outcome"] == "success"


def test_with_the_openai_client(gateway):
    client = openai.OpenAI(base_url=gateway.url + "/v1", api_key="none", timeout=120, max_retries=0)
    assert [model.id for model in client.models.list()] == ["smollm2", "chat", "both", "unknown-there"]
    assert client.models.retrieve("both").id == "both"
    messages = [{"role": "user", "content": "What is the capital of Italy?"}]
    whole = client.chat.completions.create(model="chat", messages=messages, max_tokens=16, temperature=0)
    stream = client.chat.completions.create(
        model="chat", messages=messages, max_tokens=16, temperature=0, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == whole.choices[0].message.content
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(model="nobody", messages=messages)
    for name in ("smollm2", "chat", "both"):
        assert name in missing.value.message
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nobody")


@pytest.mark.parametrize("more, status, parameter", [
    ({"model": "unknown-there"}, 404, "model"),
    ({"max_tokens": -1}, 400, "max_tokens"),
    ({"prompt": 5}, 400, "prompt"),
    ({"temperature": "hot"}, 400, "temperature"),
    ({"max_tokens": 10**7}, 400, None),
])
@pytest.mark.parametrize("stream", [False, True])
def test_an_upstreams_refusal_reaches_the_client(servers, gateway, more, status, parameter, stream):
    body = {"model": "smollm2", "prompt": "a", "max_tokens": 3, "stream": stream} | more
    direct = httpx.post(servers[0].url + "/v1/completions", json=body, timeout=60)
    passed = gateway.client.post("/v1/completions", json=body)
    assert passed.status_code == direct.status_code == status
    assert passed.json() == direct.json()
    error = passed.json()["error"]
    assert error["message"] and (parameter is None or error["param"] == parameter)
    # A client's fault is not the member's.
    assert gateway.client.post("/v1/completions", json={"model": "smollm2", "prompt": "a"}).status_code == 200


def test_bodies_that_are_no_json_are_refused_here(gateway):
    for content in (b"", b"{", b"[]", b'{"model":"smollm2","model":"chat"}', b'{"model": 5}', b"\xff" * 100):
        refused = gateway.client.post("/v1/completions", content=content, headers=JSON)
        assert refused.status_code == 400, content
        assert refused.json()["error"]["message"]


def test_request_ids_reach_the_upstream(servers, gateway):
    body = {"model": "smollm2", "prompt": "a", "max_tokens": 2}
    named = gateway.client.post("/v1/completions", json=body, headers={"X-Request-Id": "given-by-a-client"})
    assert named.headers["x-request-id"] == "given-by-a-client"
    unnamed = gateway.client.post("/v1/completions", json=body).headers["x-request-id"]
    for name in ("given-by-a-client", unnamed):
        for server in (gateway, servers[0]):
            assert wait_for(lambda: [line for line in lines(server, "request") if line["request_id"] == name])


@pytest.mark.parametrize("stream", [False, True])
def test_a_deadline_ends_a_request_here_and_there(servers, gateway, stream):
    # Longer than it can take: 1900 tokens are not computed in a tenth of a second.
    body = {"model": "smollm2", "prompt": "Once", "max_tokens": 1900, "ignore_eos": True, "stream": stream}
    late = gateway.client.post("/v1/completions", json=body, headers={"X-Request-Timeout": "0.1"})
    if late.status_code == 200:
        # A stream that has begun says it in an event.
        assert stream and "deadline" in late.text and late.text.rstrip().endswith("[DONE]")
    else:
        assert late.status_code == 504 and late.json()["error"]["code"] == "deadline_exceeded", late.text
    bad = gateway.client.post("/v1/completions", json=body, headers={"X-Request-Timeout": "soon"})
    assert bad.status_code == 400 and "X-Request-Timeout" in bad.json()["error"]["message"]
    servers[0].wait_idle(60)
    # It was not the member's fault: it still gets requests.
    assert gateway.client.post("/v1/completions", json={"model": "smollm2", "prompt": "a"}).status_code == 200


def test_a_client_that_leaves_ends_the_upstreams_work(servers, gateway):
    body = {"model": "smollm2", "prompt": "Once", "max_tokens": 1900, "ignore_eos": True, "stream": True}
    with httpx.stream("POST", gateway.url + "/v1/completions", json=body, timeout=60) as stream:
        next(stream.iter_lines())
    servers[0].wait_idle(60)
    wait_for(lambda: gateway.metric("martinet_http_generations") == 0, 60, "the gateway to forget it")


def memory(server) -> int:
    """Bytes that a process holds."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) << 10


def test_the_gateway_holds_no_model(servers, gateway):
    seconds = float(re.search(r"Ready in ([\d.]+) s", gateway.out.read_text()).group(1))
    assert seconds < 10
    bodies = [body | {"model": "both"} for body in requests(16, tokens=8, seed=6)]
    answers(gateway.url, bodies)
    assert memory(gateway) < 150 << 20
    children = Path(f"/proc/{gateway.process.pid}/task/{gateway.process.pid}/children").read_text()
    assert children == ""
    assert gateway.client.get("/readyz").status_code == 200


STORY = "Write a long story about a lighthouse and the people who live there."


def stories(count: int) -> list[tuple[str, dict]]:
    """Streams of one greedy text each, by both routes."""
    made = []
    for index in range(count):
        body = {"max_tokens": 150, "temperature": 0, "ignore_eos": True, "stream": True,
                "stream_options": {"include_usage": True}}
        if index % 2:
            made.append(("/v1/completions", body | {"prompt": f"Chapter {index}. The old lighthouse"}))
        else:
            made.append(("/v1/chat/completions",
                         body | {"messages": [{"role": "user", "content": f"{STORY} Part {index}."}]}))
    return made


def asked(url: str, asks: list[tuple[str, dict]], on_event=lambda: None) -> list:
    """The answers of several requests at once; what failed as its error."""
    found: list = [None] * len(asks)

    def ask(index: int) -> None:
        path, body = asks[index]
        try:
            if body.get("stream"):
                found[index] = answer(url, body, on_event, path=path)
            else:
                whole = httpx.post(url + path, json=body, timeout=300)
                assert whole.status_code == 200, whole.text
                found[index] = whole.json()["choices"][0]["text"]
        except Exception as error:
            found[index] = error

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(len(asks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.mark.parametrize("continues", [True, False])
def test_an_upstream_dies_in_the_middle_of_streams(start, tmp_path, continues):
    servers = [start("--threads", "1", "--max-num-seqs", "16") for _ in range(2)]
    configuration = {"upstreams": [{"serves": "smollm2", "name": "pool", "upstreams": [
        upstream(server, name=name, allow_continuation=continues) for name, server in zip(("a", "b"), servers)]}]}
    gateway = start("--config", written(tmp_path / "gateway.yaml", configuration), model=None, command="gateway")
    streams = stories(8)
    # Without a stream there is no first token until the answer is whole: all of these may go to the other member.
    wholes = [("/v1/completions", {"prompt": f"Song {index}:", "max_tokens": 120, "temperature": 0,
                                   "ignore_eos": True}) for index in range(4)]
    asks = [(path, body | {"model": "smollm2"}) for path, body in streams + wholes]
    expected = asked(servers[0].url, asks)
    assert not [one for one in expected if isinstance(one, Exception)], expected

    events = []
    dead = threading.Event()

    def act() -> None:
        wait_for(lambda: len(events) > 200, 120, "tokens")
        kill(servers[0])
        dead.set()

    killer = threading.Thread(target=act)
    killer.start()
    found = asked(gateway.url, asks, lambda: events.append(1))
    killer.join()
    assert dead.is_set()
    broken = [index for index, one in enumerate(found) if isinstance(one, Exception)]
    if continues:
        assert not broken, [found[index] for index in broken]
        for index in range(len(asks)):
            assert found[index] == expected[index], asks[index]
        assert lines(gateway, "A broken stream goes on elsewhere")
        assert gateway.metric("vllm_requests_failed_total") == 0
    else:
        # Streams of the dead member say so and end; what had no token yet went to the other.
        assert broken and all(index < len(streams) for index in broken)
        assert len(broken) < len(streams), "both members had streams"
        for index in broken:
            assert "the stream broke" in str(found[index]) and "upstream_stream_broken" in str(found[index])
        for index in set(range(len(asks))) - set(broken):
            assert found[index] == expected[index], asks[index]
        assert gateway.metric("vllm_requests_failed_total") == len(broken)
    # The one that is left does it all.
    after = asked(gateway.url, asks)
    assert after == expected
    assert gateway.stop() == 0
