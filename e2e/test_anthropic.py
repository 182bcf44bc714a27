"""The official Anthropic client, unmodified."""
import json
import socket

import anthropic
import pytest

CHAT = [{"role": "user", "content": "What is the capital of France? Answer in one sentence."}]
# The client has no argument for it any more, the API has.
GREEDY = {"temperature": 0}
TOOL = {"name": "get_weather", "description": "The weather of a city.",
        "input_schema": {"type": "object", "properties": {"city": {"type": "string", "maxLength": 30}},
                         "required": ["city"], "additionalProperties": False}}


def connect(url, **options):
    return anthropic.Anthropic(base_url=url, api_key="none", **{"max_retries": 0, "timeout": 120, **options})


@pytest.fixture(scope="module")
def claude(server):
    return connect(server.url)


def create(client, messages=CHAT, max_tokens=30, **options):
    body = {**GREEDY, **options.pop("extra_body", {})}
    return client.messages.create(
        model="smollm2", messages=messages, max_tokens=max_tokens, extra_body=body, **options)


def test_message(claude):
    message = create(claude)
    assert message.type == "message" and message.role == "assistant" and message.id.startswith("msg_")
    assert [block.type for block in message.content] == ["text"] and "Paris" in message.content[0].text
    assert message.stop_reason == "end_turn" and message.stop_sequence is None
    assert message.usage.input_tokens + message.usage.cache_read_input_tokens > 10
    assert message.usage.output_tokens > 3


def test_stream_says_what_the_message_says(claude):
    whole = create(claude)
    with claude.messages.stream(model="smollm2", messages=CHAT, max_tokens=30, extra_body=GREEDY) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == whole.content[0].text == final.content[0].text
    assert final.stop_reason == whole.stop_reason and final.usage.output_tokens == whole.usage.output_tokens


def test_stream_events(claude):
    events = list(create(claude, max_tokens=5, stream=True))
    types = [event.type for event in events]
    assert types[:2] == ["message_start", "content_block_start"]
    assert types[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert set(types[2:-3]) == {"content_block_delta"}
    assert events[-2].delta.stop_reason == "max_tokens" and events[-2].usage.output_tokens == 5


def test_system_blocks_and_turns(claude):
    message = create(
        claude, system=[{"type": "text", "text": "You are terse.", "cache_control": {"type": "ephemeral"}}],
        messages=[{"role": "user", "content": [{"type": "text", "text": "Say hello."}]},
                  {"role": "assistant", "content": [{"type": "text", "text": "Hello."}]},
                  {"role": "user", "content": "Again."}, {"role": "user", "content": "Please."}], max_tokens=8)
    assert message.content[0].text


def test_prefill_and_stop_sequences(claude):
    messages = [{"role": "user", "content": "Count from 1 to 20."}, {"role": "assistant", "content": "1, 2, 3,"}]
    message = create(claude, messages, stop_sequences=["7", "never"], max_tokens=40)
    assert message.content[0].text.strip().startswith("4") and "7" not in message.content[0].text
    assert message.stop_reason == "stop_sequence" and message.stop_sequence == "7"


def test_bound_beyond_the_context_bends(start):
    small = connect(start("--max-model-len", "256").url)
    message = create(small, [{"role": "user", "content": "Tell me a very long story."}], max_tokens=100_000,
                     extra_body={"ignore_eos": True})
    assert message.stop_reason == "model_context_window_exceeded"
    with pytest.raises(anthropic.BadRequestError, match="maximum context length"):
        create(small, [{"role": "user", "content": "a b c d " * 200}])


def test_tools_are_shown_and_results_taken_back(claude):
    count = lambda **options: claude.messages.count_tokens(model="smollm2", messages=CHAT, **options).input_tokens
    assert count(tools=[TOOL]) > count()
    message = create(claude, [
        {"role": "user", "content": "Weather in Paris?"},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "I look it up.", "signature": "x"},
            {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Paris"}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny"}]}],
        tools=[TOOL], max_tokens=20)
    assert message.content


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "get_weather"}])
def test_forced_tools(claude, choice):
    options = dict(model="smollm2", messages=[{"role": "user", "content": "What is the weather in Paris?"}],
                   max_tokens=100, tools=[TOOL], tool_choice={**choice, "disable_parallel_tool_use": True},
                   extra_body=GREEDY)
    message = claude.messages.create(**options)
    assert message.stop_reason == "tool_use"
    calls = [block for block in message.content if block.type == "tool_use"]
    assert len(calls) == 1 and calls[0].name == "get_weather" and isinstance(calls[0].input["city"], str)
    with claude.messages.stream(**options) as stream:
        final = stream.get_final_message()
    assert [block.input for block in final.content if block.type == "tool_use"] == [calls[0].input]


def test_output_format(claude):
    schema = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}}, "required": ["city"],
              "additionalProperties": False}
    message = create(claude, max_tokens=60, output_config={"format": {"type": "json_schema", "schema": schema}})
    assert set(json.loads(message.content[0].text)) == {"city"}


def test_count_tokens(claude):
    count = claude.messages.count_tokens(model="smollm2", messages=CHAT, system="Be terse.")
    usage = create(claude, system="Be terse.", max_tokens=1).usage
    assert count.input_tokens == usage.input_tokens + usage.cache_read_input_tokens


# Errors: each class by the case that it is meant for.

def test_bad_request(claude):
    with pytest.raises(anthropic.BadRequestError) as caught:
        create(claude, max_tokens=0)
    error = caught.value
    assert error.type == "invalid_request_error" and error.error_code == "out_of_range"
    assert "`max_tokens`" in error.api_message and error.request_id == error.body["request_id"]
    for content in [{"type": "image", "source": {"type": "url", "url": "http://x/y.png"}},
                    {"type": "tool_result", "tool_use_id": "unknown", "content": "x"}]:
        with pytest.raises(anthropic.BadRequestError, match=r"messages\[0\].content\[0\]"):
            create(claude, [{"role": "user", "content": [content]}])
    with pytest.raises(anthropic.BadRequestError, match="web_search"):
        create(claude, tools=[{"type": "web_search_20250305", "name": "web_search"}])


def test_not_found(claude):
    with pytest.raises(anthropic.NotFoundError) as caught:
        claude.messages.create(model="claude", messages=CHAT, max_tokens=5)
    assert caught.value.type == "not_found_error" and caught.value.error_code == "model_not_found"
    with pytest.raises(anthropic.NotFoundError) as caught:
        claude.messages.batches.retrieve("nothing")
    assert caught.value.type == "not_found_error"


def test_too_large(claude):
    with pytest.raises(anthropic.RequestTooLargeError) as caught:
        create(claude, [{"role": "user", "content": "x" * (33 << 20)}])
    assert caught.value.type == "request_too_large"


def test_rate_limit(start):
    full = start("--max-num-seqs", "1", "--max-waiting", "1")
    client = connect(full.url)
    streams = []
    with pytest.raises(anthropic.RateLimitError) as caught:
        for _ in range(4):
            streams.append(create(client, max_tokens=2000, stream=True, extra_body={"ignore_eos": True}))
    assert caught.value.type == "rate_limit_error" and caught.value.response.headers["retry-after"]
    for stream in streams:
        stream.close()


def test_deadline(claude):
    with pytest.raises(anthropic.InternalServerError) as caught:
        create(claude, max_tokens=4000, extra_body={"ignore_eos": True}, extra_headers={"X-Request-Timeout": "0.3"})
    assert caught.value.status_code == 504 and caught.value.type == "timeout_error"


def test_draining_is_overloaded(start):
    ending = start("--drain-timeout", "30")
    client = connect(ending.url)
    running = create(client, max_tokens=4000, stream=True, extra_body={"ignore_eos": True})
    next(iter(running))
    ending.process.terminate()
    with pytest.raises((anthropic.InternalServerError, anthropic.APIConnectionError)) as caught:
        for _ in range(200):
            create(client, max_tokens=1)
    if isinstance(caught.value, anthropic.InternalServerError):
        assert caught.value.status_code == 503 and caught.value.type == "overloaded_error"
    running.close()


def test_timeout_of_the_client(server):
    with pytest.raises(anthropic.APITimeoutError):
        create(connect(server.url, timeout=0.2), max_tokens=4000, extra_body={"ignore_eos": True})
    server.wait_idle()


def test_connection_error():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(anthropic.APIConnectionError):
        create(connect(url))


@pytest.mark.parametrize("method, path, headers, status", [
    ("GET", "/v1/messages", {}, 405), ("POST", "/v1/messages/batches", {}, 404),
    ("POST", "/v1/messages", {"content-type": "text/plain"}, 415),
    ("POST", "/v1/messages/count_tokens", {"content-type": "application/json"}, 400)])
def test_every_error_has_the_shape(http, method, path, headers, status):
    answer = http.request(method, path, headers=headers, content=b"{" if method == "POST" else None)
    body = answer.json()
    assert answer.status_code == status and body["type"] == "error" and body["error"]["message"]
    assert body["request_id"] == answer.headers["request-id"] == answer.headers["x-request-id"]
