"""Upstreams that do what they must not: each has its named error, and nobody else notices."""
import json
import os
import time

import httpx
import pytest
from conftest import Server
from fleet import Load, answers, requests, wait_for
from gateways import Rogue, event, head, lines, written

KEY = "sk-test-0123456789-never-shown"
TOKEN = event(" one")


def sends(*parts: bytes, then: str = "close"):
    def behave(rogue: Rogue, connection) -> None:
        for part in parts:
            connection.sendall(part)
        if then == "hang":
            rogue.hang()
    return behave


def body(content: bytes, status: str = "200 OK", kind: str = "application/json", **headers) -> bytes:
    return head(status, kind, Content_Length=str(len(content)), **headers) + content


# Name: what is sent, whether the client asks for a stream (None: both ways), the status, and the code.
BEFORE = {
    "garbage": (sends(b"\x00\xff\xfe what\r\n\r\n"), None, 502, "upstream_bad_answer"),
    "closes-at-once": (sends(), None, 502, "upstream_connection_failed"),
    "never-answers": (sends(then="hang"), None, 504, "upstream_timeout"),
    "never-ends-its-head": (sends(b"HTTP/1.1 200 OK\r\nContent-", then="hang"), None, 504, "upstream_timeout"),
    "wrong-type": (sends(body(b"<html></html>", kind="text/html")), None, 502, "upstream_bad_answer"),
    "compressed": (sends(body(b"\x1f\x8b", Content_Encoding="gzip")), None, 502, "upstream_bad_answer"),
    "redirects": (sends(body(b"", "302 Found", Location="http://127.0.0.1:1/")), None, 502, "upstream_bad_answer"),
    "credentials": (sends(body(b'{"error":"no"}', "401 Unauthorized")), None, 502, "upstream_credentials"),
    "forbidden": (sends(body(b"", "403 Forbidden")), None, 502, "upstream_credentials"),
    "busy": (sends(body(b"", "429 Too Many Requests", Retry_After="77")), True, 429, "upstream_rate_limited"),
    "fails": (sends(body(b"Traceback", "500 Internal Server Error")), None, 502, "upstream_error"),
    "overloaded": (sends(body(b"", "503 Service Unavailable", Retry_After="9")), None, 503, "upstream_error"),
    "huge-head": (sends(b"HTTP/1.1 200 OK\r\nX-Much: " + b"x" * (200 << 10)), None, 502, "upstream_answer_too_large"),
    "no-json": (sends(body(b'{"id": nothing')), False, 502, "upstream_bad_answer"),
    "no-object": (sends(body(b"[1, 2]")), False, 502, "upstream_bad_answer"),
    "cut-short": (sends(head(kind="application/json", Content_Length="100") + b'{"id":'), False, 502,
                  "upstream_connection_failed"),
    "huge-body": (sends(body(b'{"a":"' + b"x" * (3 << 20) + b'"}')), False, 502, "upstream_answer_too_large"),
    "json-for-a-stream": (sends(body(b"{}")), True, 502, "upstream_bad_answer"),
    "half-a-line": (sends(head(), b'data: {"id"'), True, 502, "upstream_bad_answer"),
    "an-empty-stream": (sends(head(), b"data: [DONE]\n\n"), True, 200, None),
    "no-chunks": (sends(head(), b"data: 5\n\n"), True, 502, "upstream_bad_answer"),
    "a-huge-event": (sends(head(), b"data: " + b"x" * (2 << 20)), True, 502, "upstream_answer_too_large"),
    "only-signs-of-life": (sends(head(), b": hello\n\n" * 10, then="hang"), True, 504, "upstream_timeout"),
    "an-error-event": (sends(head(), b'data: {"error": {"message": "out of memory"}}\n\n'), True, 502,
                       "upstream_error"),
}
# What follows one token: the stream has begun, so the error is an event.
BEHIND = {
    "closes-in-the-middle": (sends(head(), TOKEN), "upstream_stream_broken"),
    "closes-in-a-chunk": (sends(head(Transfer_Encoding="chunked"), b"%x\r\n" % len(TOKEN) + TOKEN + b"\r\n7\r\nda"),
                          "upstream_stream_broken"),
    "half-a-line-in-the-middle": (sends(head(), TOKEN, b'data: {"id"'), "upstream_stream_broken"),
    "garbage-in-the-middle": (sends(head(), TOKEN, b"data: {]\n\n", then="hang"), "upstream_bad_answer"),
    "stands-still": (sends(head(), TOKEN, then="hang"), "upstream_stalled"),
    "a-huge-event-in-the-middle": (sends(head(), TOKEN, b"data: " + b"x" * (2 << 20)), "upstream_answer_too_large"),
    "an-error-in-the-middle": (sends(head(), TOKEN, b'data: {"error": {"message": "died", "code": 500}}\n\n'),
                               "upstream_error"),
}
# What quotes the key that it was sent.
QUOTES = {
    "quotes-at-401": sends(body(b'{"error":{"message":"bad key %s"}}' % KEY.encode(), "401 Unauthorized")),
    "quotes-at-400": sends(body(b'{"error":{"message":"bad key %s"}}' % KEY.encode(), "400 Bad Request")),
    "quotes-as-type": sends(body(b"{}", kind=KEY)),
    "quotes-at-422": sends(body(b'{"detail":"x %s","code":"%s","param":"%s"}' % ((KEY.encode(),) * 3), "422 No")),
    "quotes-in-an-event": sends(head(), b'data: {"error": {"message": "bad key %s"}}\n\n' % KEY.encode()),
    "quotes-in-a-refusal": sends(
        head(), b'data: {"error": {"message": "bad key %s", "code": 400}}\n\n' % KEY.encode()),
    "quotes-in-the-middle": sends(
        head(), TOKEN, b'data: {"error": {"message": "bad key %s", "code": 500}}\n\n' % KEY.encode()),
}


@pytest.fixture(scope="module")
def rogues():
    behaviours = {name: case[0] for name, case in (BEFORE | BEHIND).items()} | QUOTES
    rogues = {name: Rogue(behave) for name, behave in behaviours.items()}
    yield rogues
    for rogue in rogues.values():
        rogue.close()


@pytest.fixture(scope="module")
def gateway(rogues, tmp_path_factory):
    """A gateway with a pool for each, and streams through a good one that never stop meanwhile."""
    folder = tmp_path_factory.mktemp("faults")
    good = Server(folder / "good", "--threads", "1")
    patience = {"first_token_timeout": 1, "idle_timeout": 1, "total_timeout": 5, "connect_timeout": 10}
    pools = [{"serves": "smollm2", "name": "good", "upstreams": [{"url": good.url}]},
             {"serves": "nobody-there", "name": "nobody-there", "max_attempts": 1,
              "upstreams": [{"url": "http://127.0.0.1:1", "probe": {"enabled": False}}]}]
    for name, rogue in rogues.items():
        pools.append({"serves": name, "name": name, "max_attempts": 1, "max_answer_bytes": 2 << 20, "upstreams": [
            {"url": rogue.url, "name": name, "api_key_env": "MARTINET_TEST_KEY", "probe": {"enabled": False}}
            | patience]})
    os.environ["MARTINET_TEST_KEY"] = KEY
    try:
        gateway = Server(folder / "gateway", "--config", written(folder / "gateway.yaml", {"upstreams": pools}),
                         model=None, command="gateway")
    finally:
        del os.environ["MARTINET_TEST_KEY"]
    bodies = [body | {"model": "smollm2"} for body in requests(4, tokens=60, seed=11)]
    load = Load(gateway.url, bodies, answers(gateway.url, bodies))
    try:
        yield gateway
        wait_for(lambda: load.events > 200, 120, "good streams")
        load.finish()
        assert lines(gateway, "An upstream failed")
        assert not [line for line in lines(gateway, "An upstream failed") if line["pool"] == "good"]
        # The key is nowhere.
        assert KEY not in gateway.log.read_text() + gateway.out.read_text()
        assert KEY not in gateway.client.get("/metrics").text
    finally:
        ends = gateway.stop(), good.stop()
    assert ends == (0, 0)


def logged(gateway, pool: str, code: str) -> bool:
    return any(line["pool"] == pool and line["code"] == code for line in lines(gateway, "An upstream failed"))


@pytest.mark.parametrize("name, stream", [
    (name, stream) for name, case in BEFORE.items() for stream in ([False, True] if case[1] is None else [case[1]])])
def test_before_the_first_token(gateway, rogues, name, stream):
    _, _, status, code = BEFORE[name]
    failed = gateway.metric("vllm_requests_failed_total")
    found = gateway.client.post("/v1/completions", json={"model": name, "prompt": "a", "stream": stream})
    assert found.status_code == status, found.text[:500]
    assert rogues[name].requests[-1][0]["authorization"] == f"Bearer {KEY}"
    assert KEY not in found.text and KEY not in str(found.headers)
    if code is None:
        return
    error = found.json()["error"]
    assert error["code"] == code and name in error["message"], error
    if name in ("busy", "overloaded"):
        assert found.headers["retry-after"] == {"busy": "77", "overloaded": "9"}[name]
    assert logged(gateway, name, code)
    assert gateway.metric("vllm_requests_failed_total") > failed
    assert gateway.metric("http_requests_total", status=str(status), handler="/v1/completions") > 0


@pytest.mark.parametrize("name", BEHIND)
def test_behind_the_first_token(gateway, name):
    found = gateway.client.post("/v1/completions", json={"model": name, "prompt": "a", "stream": True})
    assert found.status_code == 200
    events = [line[6:] for line in found.text.splitlines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    assert json.loads(events[0])["choices"][0]["text"] == " one"
    error = json.loads(events[-2])["error"]
    assert error["code"] == BEHIND[name][1] and name in error["message"], error
    assert len(events) == 3
    assert KEY not in found.text
    line, = wait_for(lambda: [line for line in lines(gateway, "request")
                              if line["request_id"] == found.headers["x-request-id"]])
    assert line["outcome"] == "failure" and line["upstreams"] == name


def test_nobody_listens(gateway):
    for stream in (False, True):
        found = gateway.client.post("/v1/completions", json={"model": "nobody-there", "prompt": "a", "stream": stream})
        assert found.status_code == 502 and found.json()["error"]["code"] == "upstream_connection_failed"
    # After enough failures it is not even tried, and a client is told when to come again.
    def opened():
        found = gateway.client.post("/v1/completions", json={"model": "nobody-there", "prompt": "a"})
        return found if found.status_code == 503 else None
    refused = wait_for(opened, 60, "the breaker")
    assert refused.json()["error"]["code"] == "upstreams_unavailable"
    assert int(refused.headers["retry-after"]) > 0


@pytest.mark.parametrize("name", QUOTES)
def test_an_upstream_that_quotes_the_key(gateway, rogues, name):
    for stream in (False, True):
        found = gateway.client.post("/v1/completions", json={"model": name, "prompt": "a", "stream": stream},
                                    headers={"Authorization": "Bearer of-the-client"})
        assert KEY not in found.text and KEY not in str(found.headers)
        headers, _ = rogues[name].requests[-1]
        assert headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in gateway.log.read_text()


def test_a_key_of_a_file_that_changes(start, tmp_path):
    rogue = Rogue(sends(body(b'{"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}')))
    key = tmp_path / "key"
    key.write_text("first-key\n")
    pool = {"name": "p", "serves": "m", "upstreams": [
        {"url": rogue.url, "api_key_file": str(key), "headers": {"X-Team": "red"}, "probe": {"enabled": False}}]}
    gateway = start("--config", written(tmp_path / "gateway.yaml", {"upstreams": [pool]}), model=None,
                    command="gateway")

    def sent() -> str:
        assert gateway.client.post("/v1/completions", json={"model": "m", "prompt": "a"}).status_code == 200
        return rogue.requests[-1][0]["authorization"]

    assert sent() == "Bearer first-key"
    assert rogue.requests[-1][0]["x-team"] == "red"
    key.write_text("second-key\n")
    wait_for(lambda: sent() == "Bearer second-key", 30, "the new key")
    # A file that went bad changes nothing.
    key.unlink()
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        assert sent() == "Bearer second-key"
    for secret in ("first-key", "second-key"):
        assert secret not in gateway.log.read_text() + gateway.client.get("/metrics").text
    assert gateway.stop() == 0
    rogue.close()


@pytest.mark.parametrize("settings, says", [
    ({"api_key_env": "MARTINET_TEST_NO_KEY"}, "MARTINET_TEST_NO_KEY"),
    ({"api_key_file": "/does/not/exist"}, "/does/not/exist"),
])
def test_a_key_that_is_missing(tmp_path, settings, says):
    from test_reload import refused
    path = written(tmp_path / "gateway.yaml", {"upstreams": [
        {"name": "p", "serves": "m", "upstreams": [{"url": "http://127.0.0.1:1"} | settings]}]})
    assert says in refused("gateway", "--config", path)
