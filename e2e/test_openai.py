"""The official OpenAI client, unmodified."""
import openai
import pytest

CHAT = [{"role": "user", "content": "What is the capital of France? Answer in one sentence."}]


def test_chat(client):
    answer = client.chat.completions.create(model="smollm2", messages=CHAT, temperature=0, max_tokens=30)
    assert "Paris" in answer.choices[0].message.content
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason in ("stop", "length")
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_chat_stream(client):
    whole = client.chat.completions.create(model="smollm2", messages=CHAT, temperature=0, max_tokens=30)
    chunks = list(client.chat.completions.create(
        model="smollm2", messages=CHAT, temperature=0, max_tokens=30, stream=True,
        stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert chunks[-1].choices == []
    assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == [
        whole.choices[0].finish_reason]


def test_chat_parts_system_and_multi_turn(client):
    answer = client.chat.completions.create(
        model="smollm2", temperature=0, max_completion_tokens=12, messages=[
            {"role": "system", "content": "You are terse."},
            {"role": "user", "content": [{"type": "text", "text": "Say "}, {"type": "text", "text": "hello."}]},
            {"role": "assistant", "content": "Hello."}, {"role": "user", "content": "Again."}])
    assert answer.choices[0].message.content
    assert answer.usage.completion_tokens <= 12


def test_chat_logprobs(client):
    answer = client.chat.completions.create(
        model="smollm2", messages=CHAT, temperature=0, max_tokens=5, logprobs=True, top_logprobs=3)
    tokens = answer.choices[0].logprobs.content
    assert len(tokens) == 5
    for token in tokens:
        assert token.logprob <= 0 and len(token.top_logprobs) == 3
        # Greedy: the chosen token is the likeliest.
        assert token.token == token.top_logprobs[0].token
        assert bytes(token.bytes).decode(errors="replace") == token.token
    assert "".join(t.token for t in tokens) == answer.choices[0].message.content


def test_logprobs_without_alternatives(client):
    chat = client.chat.completions.create(model="smollm2", messages=CHAT, max_tokens=2, logprobs=True)
    tokens = chat.choices[0].logprobs.content
    assert len(tokens) == chat.usage.completion_tokens and all(token.top_logprobs == [] for token in tokens)
    text = client.completions.create(model="smollm2", prompt="The sky is", max_tokens=0, logprobs=0, echo=True)
    logprobs = text.choices[0].logprobs
    assert logprobs.token_logprobs[0] is None and all(value <= 0 for value in logprobs.token_logprobs[1:])


def test_completion_logprobs_and_echo(client):
    answer = client.completions.create(
        model="smollm2", prompt="The capital of France is", max_tokens=3, temperature=0, logprobs=2, echo=True)
    logprobs = answer.choices[0].logprobs
    assert answer.choices[0].text.startswith("The capital of France is")
    assert len(logprobs.tokens) == answer.usage.total_tokens
    assert logprobs.token_logprobs[0] is None and all(value <= 0 for value in logprobs.token_logprobs[1:])
    assert "".join(logprobs.tokens) == answer.choices[0].text
    assert logprobs.text_offset[1] == len(logprobs.tokens[0])
    scored = client.completions.create(
        model="smollm2", prompt="The capital of France is", max_tokens=0, temperature=0, logprobs=2, echo=True)
    assert scored.choices[0].text == "The capital of France is"
    assert scored.choices[0].logprobs.token_logprobs[1:] == pytest.approx(
        logprobs.token_logprobs[1:len(scored.choices[0].logprobs.tokens)], abs=0.05)


def test_completion_prompts(client):
    answer = client.completions.create(model="smollm2", prompt=["One", "Two", "Three"], n=2, max_tokens=4)
    assert [choice.index for choice in answer.choices] == list(range(6))
    stream = client.completions.create(model="smollm2", prompt=["One", "Two"], max_tokens=4, stream=True, temperature=0)
    texts = {}
    for chunk in stream:
        for choice in chunk.choices:
            texts[choice.index] = texts.get(choice.index, "") + choice.text
    whole = client.completions.create(model="smollm2", prompt=["One", "Two"], max_tokens=4, temperature=0)
    assert texts == {choice.index: choice.text for choice in whole.choices}


@pytest.mark.parametrize("stream", [False, True])
def test_stop_strings(client, stream):
    full = client.completions.create(model="smollm2", prompt="1, 2, 3, 4,", max_tokens=40, temperature=0).choices[0].text
    stop = full[6:9]
    assert stop
    options = dict(model="smollm2", prompt="1, 2, 3, 4,", max_tokens=40, temperature=0, stop=[stop, "never this"])
    if stream:
        chunks = list(client.completions.create(stream=True, **options))
        text = "".join(chunk.choices[0].text for chunk in chunks if chunk.choices)
        reason = [c.choices[0].finish_reason for c in chunks if c.choices][-1]
    else:
        choice = client.completions.create(**options).choices[0]
        text, reason = choice.text, choice.finish_reason
    assert text == full[:full.index(stop)]
    assert reason == "stop"


def test_seeds(client):
    def text(seed):
        return client.completions.create(
            model="smollm2", prompt="A story:", max_tokens=24, temperature=1, seed=seed).choices[0].text

    assert text(7) == text(7)
    assert len({text(seed) for seed in range(4)}) > 1


def test_samples_differ(client):
    answer = client.chat.completions.create(
        model="smollm2", messages=[{"role": "user", "content": "Tell a story."}], n=2, temperature=1, max_tokens=24,
        seed=3)
    texts = [choice.message.content for choice in answer.choices]
    assert len(texts) == 2 and texts[0] != texts[1]
    again = client.chat.completions.create(
        model="smollm2", messages=[{"role": "user", "content": "Tell a story."}], n=2, temperature=1, max_tokens=24,
        seed=3)
    assert texts == [choice.message.content for choice in again.choices]


def test_extra_parameters(client):
    answer = client.completions.create(
        model="smollm2", prompt="Count: 1 2 3", max_tokens=8, temperature=1, logit_bias={"28": -100},
        presence_penalty=0.5, frequency_penalty=0.5,
        extra_body={"top_k": 1, "min_p": 0.1, "repetition_penalty": 1.1, "min_tokens": 8, "ignore_eos": True,
                    "return_token_ids": True, "bad_words": ["4"]})
    assert answer.usage.completion_tokens == 8
    assert len(answer.choices[0].token_ids) == 8
    assert 28 not in answer.choices[0].token_ids
    only = client.completions.create(
        model="smollm2", prompt="Go", max_tokens=5, extra_body={"allowed_token_ids": [100], "return_token_ids": True})
    assert only.choices[0].token_ids == [100] * 5


def test_models(client):
    assert [model.id for model in client.models.list()] == ["smollm2"]
    assert client.models.retrieve("smollm2").object == "model"


def test_exceptions(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-9", messages=CHAT)
    assert caught.value.code == "model_not_found" and caught.value.param == "model"
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="smollm2", messages=CHAT, temperature=-1)
    assert caught.value.param == "temperature"
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(model="smollm2", prompt="word " * 20000, max_tokens=5)
    assert caught.value.code == "context_length_exceeded"


def test_async_client(server):
    import asyncio

    async def run():
        async with openai.AsyncOpenAI(base_url=server.url + "/v1", api_key="x", max_retries=0) as client:
            stream = await client.chat.completions.create(
                model="smollm2", messages=CHAT, temperature=0, max_tokens=12, stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    assert asyncio.run(asyncio.wait_for(run(), 60))
