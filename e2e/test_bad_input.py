"""Nothing that a client sends stops the server or disturbs a neighbour."""
import json
import socket
import threading

import httpx
import pytest

USER = [{"role": "user", "content": "hi"}]
LONG = "word " * 20000


def gen(**fields):
    return "/generate", {"prompt": "hi", "max_tokens": 2, **fields}


def chat(**fields):
    return "/v1/chat/completions", {"messages": USER, "max_tokens": 2, **fields}


def comp(**fields):
    return "/v1/completions", {"prompt": "hi", "max_tokens": 2, **fields}


def raw(path, text):
    return path, text if isinstance(text, bytes) else text.encode()


CASES = [
    # (path and body, status, the field that the error names)
    (gen(temperature=-1), 400, "temperature"), (gen(temperature="hot"), 400, "temperature"),
    (gen(temperature=True), 400, "temperature"), (gen(temperature=[1]), 400, "temperature"),
    (gen(top_p=0), 400, "top_p"), (gen(top_p=1.5), 400, "top_p"), (gen(top_k=-5), 400, "top_k"),
    (gen(top_k=0.5), 400, "top_k"), (gen(min_p=-1), 400, "min_p"), (gen(repetition_penalty=0), 400, "repetition_penalty"),
    (gen(presence_penalty=3), 400, "presence_penalty"), (gen(frequency_penalty=-3), 400, "frequency_penalty"),
    (gen(max_tokens=0), 400, "max_tokens"), (gen(max_tokens=-5), 400, "max_tokens"),
    (gen(max_tokens=10**30), 400, "max_tokens"), (gen(max_tokens=True), 400, "max_tokens"),
    (gen(max_tokens=2_000_000), 400, "prompt"), (gen(min_tokens=5), 400, "min_tokens"),
    (gen(n=0), 400, "n"), (gen(n=-1), 400, "n"), (gen(n=129), 400, "n"), (gen(n=10**12), 400, "n"),
    (gen(n=2.5), 400, "n"), (gen(seed="x"), 400, "seed"), (gen(seed=2**80), 400, "seed"),
    (gen(stop=""), 400, "stop"), (gen(stop=["a"] * 100), 400, "stop"), (gen(stop=[None]), 400, "stop[0]"),
    (gen(stop={"a": 1}), 400, "stop"), (gen(stop_token_ids=[-1]), 400, "stop_token_ids[0]"),
    (gen(stop_token_ids=[10**9]), 400, "stop_token_ids[0]"), (gen(logit_bias={"x": 1}), 400, "logit_bias"),
    (gen(logit_bias={"-1": 1}), 400, "logit_bias"), (gen(logit_bias={"1": 1000}), 400, "logit_bias.1"),
    (gen(logprobs=21), 400, "logprobs"), (gen(prompt_logprobs=-1), 400, "prompt_logprobs"),
    (gen(bad_words=[""]), 400, "bad_words[0]"), (gen(allowed_token_ids=[]), 400, "allowed_token_ids"),
    (gen(allowed_token_ids=[10**9]), 400, "allowed_token_ids[0]"), (gen(ignore_eos="yes"), 400, "ignore_eos"),
    (gen(stream="yes"), 400, "stream"), (gen(priority="high"), 400, "priority"), (gen(cache_salt=5), 400, "cache_salt"),
    (gen(truncate_prompt_tokens=0), 400, "truncate_prompt_tokens"), (gen(guided_regex="("), 400, "guided_regex"),
    (gen(prompt=None), 400, "prompt"), (gen(prompt=""), 400, "prompt"), (gen(prompt=[]), 400, "prompt"),
    (gen(prompt=["text"]), 400, "prompt[0]"), (gen(prompt=[-1]), 400, "prompt[0]"), (gen(prompt=[10**9]), 400, "prompt[0]"),
    (gen(prompt={"a": 1}), 400, "prompt"), (gen(prompt=LONG), 400, "prompt"), (gen(prompt=[1] * 10000), 400, "prompt"),
    (chat(metadata="x"), 400, "metadata"), (gen(model="gpt-9"), 404, "model"), (gen(model=7), 400, "model"),
    (("/generate_batch", {"prompts": []}), 400, "prompts"), (("/generate_batch", {}), 400, "prompts"),
    (("/generate_batch", {"prompts": ["a"] * 2000}), 400, "prompts"),
    (("/generate_batch", {"prompts": ["a", 5]}), 400, "prompts[1]"),
    (("/generate_batch", {"prompts": ["a", LONG]}), 400, "prompts[1]"),
    (("/generate_batch", {"prompts": ["a"], "stream": True}), 400, "stream"),
    (comp(prompt=["a"] * 1000, n=2), 400, "n"), (comp(suffix="x"), 400, "suffix"), (comp(best_of=3), 400, "best_of"),
    (comp(logprobs=True), 400, "logprobs"), (comp(stream_options={"include_usage": True}), 400, "stream_options"),
    (chat(messages=[]), 400, "messages"), (chat(messages=None), 400, "messages"), (chat(messages="hi"), 400, "messages"),
    (chat(messages=[{"role": "user"}]), 400, "messages[0].content"),
    (chat(messages=[{"role": "king", "content": "x"}]), 400, "messages[0].role"),
    (chat(messages=[{"role": "user", "content": [{"type": "image_url"}]}]), 400, "messages[0].content[0].type"),
    (chat(messages=[{"role": "user", "content": LONG}]), 400, "messages"),
    (chat(top_logprobs=3), 400, "top_logprobs"), (chat(logprobs=True, top_logprobs=50), 400, "top_logprobs"),
    (chat(response_format={"type": "xml"}), 400, "response_format.type"),
    (chat(tool_choice="required"), 400, "tool_choice"), (chat(tools=[{}]), 400, "tools[0].type"),
    (chat(chat_template="{{ 1 }}"), 400, "chat_template"), (chat(functions=[]), 400, "functions"),
    (chat(continue_final_message=True, add_generation_prompt=True), 400, "continue_final_message"),
    (chat(max_completion_tokens=0), 400, "max_completion_tokens"),
    (("/tokenize", {}), 400, "prompt"), (("/tokenize", {"prompt": 5}), 400, "prompt"),
    (("/tokenize", {"prompt": "a", "messages": USER}), 400, "prompt"), (("/detokenize", {}), 400, "tokens"),
    (("/detokenize", {"tokens": [-1]}), 400, "tokens[0]"), (("/detokenize", {"tokens": [1.5]}), 400, "tokens[0]"),
    # Bodies that are no JSON, or JSON of the kind that breaks parsers.
    (raw("/generate", ""), 400, None), (raw("/generate", "{"), 400, None), (raw("/generate", "[]"), 400, None),
    (raw("/generate", "null"), 400, None), (raw("/generate", '{"prompt":"a",}'), 400, None),
    (raw("/generate", '{"prompt":"a","prompt":"b"}'), 400, None), (raw("/generate", '{"temperature":NaN}'), 400, None),
    (raw("/generate", '{"temperature":Infinity}'), 400, None), (raw("/generate", '{"temperature":1e999}'), 400, None),
    (raw("/generate", '{"prompt":"\\ud800"}'), 400, None), (raw("/generate", b'{"prompt":"\xff\xfe"}'), 400, None),
    (raw("/generate", b'{"prompt":"\xed\xa0\x80"}'), 400, None), (raw("/generate", "[" * 100000), 400, None),
    (raw("/generate", '{"a":' * 50000), 400, None), (raw("/generate", '{"prompt":"a' + "\x00" + '"}'), 400, None),
    (raw("/v1/chat/completions", '{"messages":' + "[" * 1000 + "]" * 1000 + "}"), 400, None),
    (raw("/generate", b"\x1f\x8b\x08\x00compressed"), 400, None), (raw("/generate", "9" * 100000), 400, None),
]


@pytest.fixture(scope="module")
def neighbour(server):
    """A stream that runs through all of this."""
    result = {}

    def run():
        with server.client.stream("POST", "/generate", json={
                "prompt": "Once", "max_tokens": 600, "ignore_eos": True, "temperature": 0, "stream": True}) as answer:
            result["lines"] = [line for line in answer.iter_lines() if line]

    thread = threading.Thread(target=run)
    thread.start()
    yield
    thread.join(120)
    assert not thread.is_alive()
    assert result["lines"][-1] == "data: [DONE]"
    assert json.loads(result["lines"][-2][6:])["usage"]["completion_tokens"] == 600


@pytest.mark.parametrize("request_body,status,field", CASES, ids=range(len(CASES)))
def test_refused(http, neighbour, request_body, status, field):
    path, body = request_body
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = http.post(path, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == status, answer.text[:500]
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["param"] == field and error["message"] and error["type"] == "invalid_request_error"
    assert len(answer.content) < 4096
    assert answer.headers["x-request-id"]


def test_case_count():
    assert len(CASES) >= 60


@pytest.mark.parametrize("method,path,status", [
    ("GET", "/generate", 405), ("PUT", "/v1/completions", 405), ("POST", "/health", 405), ("DELETE", "/v1/models", 405),
    ("GET", "/", 404), ("GET", "/v3", 404), ("POST", "/v1/chat", 404), ("GET", "/v1/models/none", 404),
    ("GET", "/%00", 404), ("GET", "/../etc/passwd", 404),
])
def test_routes(http, method, path, status):
    answer = http.request(method, path)
    assert answer.status_code == status
    assert answer.json()["error"]["message"]


def test_content_types(http):
    for kind, status in [("application/json", 200), ("application/json; charset=utf-8", 200), ("text/plain", 415),
                         ("application/x-www-form-urlencoded", 415), ("multipart/form-data", 415)]:
        answer = http.post("/tokenize", content=b'{"prompt":"a"}', headers={"Content-Type": kind})
        assert answer.status_code == status, kind


def test_body_over_the_limit(start):
    server = start("--max-body-bytes", "1KiB")
    assert server.client.post("/tokenize", json={"prompt": "a" * 900}).status_code == 200
    answer = server.client.post("/tokenize", json={"prompt": "a" * 2000})
    assert answer.status_code == 413 and answer.json()["error"]["code"] == "request_too_large"
    # Without a declared length too.
    chunks = (b"x" * 512 for _ in range(64))
    assert server.client.post("/tokenize", content=chunks, headers={"Content-Type": "application/json"}).status_code == 413
    # A client that sends all before it reads, on a connection that it wants closed, gets its answer too.
    answer = httpx.post(
        server.url + "/tokenize", content=b"x" * 40_000_000, timeout=20,
        headers={"Content-Type": "application/json", "Connection": "close"})
    assert answer.status_code == 413
    assert server.client.get("/health").status_code == 200


@pytest.mark.parametrize("data", [
    b"\x00" * 100, b"GARBAGE\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"POST /generate HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"POST /generate HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"POST /generate HTTP/1.1\r\nContent-Length: 10\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST /generate HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n", b"GET / HTTP/1.1\r\nA: " + b"x" * 200000,
    b"POST /generate HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"pro",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
], ids=range(10))
def test_broken_http(server, data):
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 5) as connection:
        connection.settimeout(1)
        try:
            connection.sendall(data)
            connection.recv(4096)
        except OSError:
            pass
    assert server.client.get("/health").status_code == 200


def test_still_well(server):
    server.wait_idle(60)
    answer = server.client.post("/generate", json={"prompt": "Hello", "max_tokens": 4}).json()
    assert answer["outputs"][0]["token_ids"]
