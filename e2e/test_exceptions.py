"""Each exception class of the OpenAI client is raised by the case that it is meant for.

Nothing here answers 409 or 422 to a chat; 401 and 403 come with keys.
"""
import socket

import openai
import pytest

CHAT = [{"role": "user", "content": "Tell me a long story."}]


def connect(url, **options):
    return openai.OpenAI(base_url=url + "/v1", api_key="none", **{"max_retries": 0, "timeout": 120, **options})


def create(client, **options):
    return client.chat.completions.create(**{"model": "smollm2", "messages": CHAT, "max_tokens": 4, **options})


def endless(client, **options):
    return create(client, max_tokens=4000, extra_body={"ignore_eos": True}, **options)


def test_bad_request(client):
    with pytest.raises(openai.BadRequestError) as caught:
        create(client, temperature=-1)
    assert (caught.value.param, caught.value.code) == ("temperature", "out_of_range")
    assert caught.value.type == "invalid_request_error" and caught.value.request_id


def test_not_found(client):
    with pytest.raises(openai.NotFoundError) as caught:
        create(client, model="gpt")
    assert (caught.value.param, caught.value.code) == ("model", "model_not_found")
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt")


def test_too_large(client):
    with pytest.raises(openai.APIStatusError) as caught:
        create(client, messages=[{"role": "user", "content": "x" * (33 << 20)}])
    assert caught.value.status_code == 413 and caught.value.code == "request_too_large"


def test_rate_limit(start):
    client = connect(start("--max-num-seqs", "1", "--max-waiting", "1").url)
    streams = []
    with pytest.raises(openai.RateLimitError) as caught:
        for _ in range(4):
            streams.append(endless(client, stream=True))
    assert caught.value.code == "queue_full" and caught.value.response.headers["retry-after"]
    for stream in streams:
        stream.close()


def test_server_errors(client):
    with pytest.raises(openai.InternalServerError) as caught:
        endless(client, extra_headers={"X-Request-Timeout": "0.3"})
    assert caught.value.status_code == 504 and caught.value.code == "deadline_exceeded"


def test_error_in_a_stream(client):
    with pytest.raises(openai.APIError, match="deadline|time") as caught:
        list(endless(client, stream=True, extra_headers={"X-Request-Timeout": "0.5"}))
    assert caught.value.code == "deadline_exceeded"


def test_timeout_of_the_client(server):
    with pytest.raises(openai.APITimeoutError):
        endless(connect(server.url, timeout=0.2))
    server.wait_idle()


def test_connection_error():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(openai.APIConnectionError):
        create(connect(url))
