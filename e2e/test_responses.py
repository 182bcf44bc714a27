"""OpenAI's responses by the official client, unmodified."""
import json

import openai
import pytest
from pydantic import BaseModel

ASK = "What is the capital of France? Answer in one sentence."
TOOL = {"type": "function", "name": "get_weather", "description": "The weather of a city.", "strict": True,
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
                       "additionalProperties": False}}


def create(client, text=ASK, **options):
    return client.responses.create(**{"model": "smollm2", "input": text, "temperature": 0, "max_output_tokens": 30,
                                      **options})


def test_response(client):
    response = create(client, instructions="Be terse.", metadata={"k": "v"})
    assert response.id.startswith("resp_") and response.status == "completed" and response.error is None
    assert "Paris" in response.output_text and [item.type for item in response.output] == ["message"]
    assert response.instructions == "Be terse." and response.metadata == {"k": "v"}
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens
    assert response.usage.output_tokens_details.reasoning_tokens == 0
    type(response).model_validate(response.model_dump(), strict=False)


def test_stream_says_what_the_response_says(client):
    whole = create(client)
    with client.responses.stream(model="smollm2", input=ASK, temperature=0, max_output_tokens=30) as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert final.output_text == whole.output_text
    assert final.usage.output_tokens == whole.usage.output_tokens
    assert [event.sequence_number for event in events] == list(range(len(events)))
    types = [event.type for event in events]
    assert types[:4] == ["response.created", "response.in_progress", "response.output_item.added",
                         "response.content_part.added"]
    assert types[-4:] == ["response.output_text.done", "response.content_part.done", "response.output_item.done",
                          "response.completed"]


def test_items_go_round(client):
    items = [{"role": "user", "content": [{"type": "input_text", "text": ASK}]}]
    first = create(client, items)
    items += [item.model_dump(exclude_none=True) for item in first.output]
    items.append({"role": "user", "content": "Repeat that."})
    assert create(client, items).output_text


def test_incomplete(client):
    response = create(client, max_output_tokens=2)
    assert response.status == "incomplete" and response.incomplete_details.reason == "max_output_tokens"
    last = list(create(client, max_output_tokens=2, stream=True))[-1]
    assert last.type == "response.incomplete" and last.response.output[0].status == "incomplete"


def test_logprobs(client):
    response = create(client, max_output_tokens=4, include=["message.output_text.logprobs"], top_logprobs=2)
    tokens = response.output[0].content[0].logprobs
    assert "".join(token.token for token in tokens) == response.output_text
    assert all(token.logprob <= 0 and len(token.top_logprobs) == 2 for token in tokens)


def test_input_tokens(client):
    count = client.responses.input_tokens.count(model="smollm2", input=ASK)
    assert count.input_tokens == create(client, max_output_tokens=1).usage.input_tokens


def test_truncation(start):
    server = start("--max-model-len", "256")
    small = openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0)
    items = [{"role": role, "content": f"Message {i}. " * 8} for i in range(12) for role in ("user", "assistant")]
    items.append({"role": "user", "content": "Say hello."})
    assert create(small, items, truncation="auto", max_output_tokens=5).output
    with pytest.raises(openai.BadRequestError) as caught:
        create(small, items, max_output_tokens=5)
    assert caught.value.code == "context_length_exceeded" and caught.value.param == "input"


def test_parse(client):
    class City(BaseModel):
        name: str
        population: int

    response = client.responses.parse(
        model="smollm2", input="Name a city with its population.", text_format=City, temperature=0,
        max_output_tokens=120)
    assert isinstance(response.output_parsed, City)


def test_tools_go_round(client):
    options = dict(tools=[TOOL], tool_choice="required", parallel_tool_calls=False, max_output_tokens=100)
    items = [{"role": "user", "content": "What is the weather in Paris?"}]
    response = create(client, items, **options)
    call = response.output[-1]
    assert call.type == "function_call" and call.name == "get_weather"
    assert isinstance(json.loads(call.arguments)["city"], str)
    with client.responses.stream(model="smollm2", input=items, temperature=0, **options) as stream:
        assert stream.get_final_response().output[-1].arguments == call.arguments
    items += [item.model_dump(exclude_none=True) for item in response.output]
    items.append({"type": "function_call_output", "call_id": call.call_id, "output": "sunny"})
    assert create(client, items, tools=[TOOL], tool_choice="none").output_text


@pytest.mark.parametrize("options, parameter", [
    ({"store": True}, "store"), ({"previous_response_id": "resp_1"}, "previous_response_id"),
    ({"background": True}, "background"), ({"conversation": "conv_1"}, "conversation"),
    ({"tools": [{"type": "web_search"}]}, "tools[0].type"), ({"truncation": "middle"}, "truncation"),
    ({"input": [{"role": "user", "content": [{"type": "input_image", "detail": "auto"}]}]},
     "input[0].content[0].type"),
    ({"input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]}, "input[0].call_id"),
    ({"temperature": 3}, "temperature"), ({"max_output_tokens": 0}, "max_output_tokens")])
def test_refusals(client, options, parameter):
    with pytest.raises(openai.BadRequestError) as caught:
        create(client, **options)
    assert caught.value.param == parameter and f"`{parameter}`" in caught.value.message


def test_nothing_is_kept_without_storage(client):
    assert create(client, max_output_tokens=1).model_extra["store"] is False
    for action in [client.responses.retrieve, client.responses.delete, client.responses.input_items.list]:
        with pytest.raises(openai.InternalServerError, match="--data-dir"):
            action("resp_1")
