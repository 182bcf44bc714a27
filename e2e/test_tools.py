"""Tool calls with the official client and with the frameworks that people use over it. The model is small, so calls are
required where their content is looked at; what a grammar holds must hold with any model."""
import json
from typing import Literal

import openai
import pytest
from pydantic import BaseModel, Field

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather", "description": "The weather of a city.",
        "parameters": {
            "type": "object", "additionalProperties": False, "required": ["city", "unit"],
            "properties": {
                "city": {"type": "string", "maxLength": 24}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}}}}}
TIME = {"type": "function", "function": {"name": "get_time", "description": "The time of day."}}
ASK = [{"role": "user", "content": "What is the weather in Paris, in celsius?"}]
OPTIONS = dict(model="smollm2", messages=ASK, temperature=0, max_tokens=160)


def check(call):
    assert call.type == "function" and call.id
    arguments = json.loads(call.function.arguments)
    if call.function.name == "get_time":
        assert arguments == {}
        return
    assert call.function.name == "get_weather"
    assert set(arguments) == {"city", "unit"} and arguments["unit"] in ("celsius", "fahrenheit")
    assert isinstance(arguments["city"], str) and len(arguments["city"]) <= 24


def test_required(client):
    answer = client.chat.completions.create(
        tools=[WEATHER, TIME], tool_choice="required", parallel_tool_calls=False, **OPTIONS)
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls" and choice.message.content is None
    assert len(choice.message.tool_calls) == 1
    check(choice.message.tool_calls[0])


@pytest.mark.parametrize("seed", range(4))
def test_named_and_sampled(client, seed):
    answer = client.chat.completions.create(**OPTIONS | dict(
        tools=[WEATHER, TIME], tool_choice={"type": "function", "function": {"name": "get_weather"}},
        parallel_tool_calls=False, temperature=1.5, seed=seed))
    [call] = answer.choices[0].message.tool_calls
    assert call.function.name == "get_weather"
    check(call)


def test_stream_is_the_same(client):
    options = dict(tools=[WEATHER], tool_choice="required", parallel_tool_calls=False, **OPTIONS)
    [whole] = client.chat.completions.create(**options).choices[0].message.tool_calls
    chunks = [chunk.choices[0] for chunk in client.chat.completions.create(stream=True, **options) if chunk.choices]
    calls = [call for chunk in chunks for call in chunk.delta.tool_calls or []]
    assert calls[0].index == 0 and calls[0].id and calls[0].type == "function"
    assert calls[0].function.name == whole.function.name
    assert all(call.id is None and call.function.name is None for call in calls[1:])
    # Arguments come in pieces, not at the end.
    assert len(calls) > 3
    assert "".join(call.function.arguments for call in calls) == whole.function.arguments
    assert chunks[-1].finish_reason == "tool_calls"
    assert not any(chunk.delta.content for chunk in chunks)


class GetWeather(BaseModel):
    """The weather of a city."""

    city: str = Field(max_length=20)
    days: int = Field(ge=1, le=9)


def test_stream_helper_and_pydantic(client):
    tool = openai.pydantic_function_tool(GetWeather)
    with client.chat.completions.stream(
            tools=[tool], tool_choice="required", parallel_tool_calls=False, **OPTIONS) as stream:
        done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
        final = stream.get_final_completion()
    assert len(done) == 1 and isinstance(done[0].parsed_arguments, GetWeather)
    [call] = final.choices[0].message.tool_calls
    assert call.function.parsed_arguments == done[0].parsed_arguments


def test_conversation_goes_on(client):
    answer = client.chat.completions.create(
        tools=[WEATHER], tool_choice="required", parallel_tool_calls=False, **OPTIONS)
    message = answer.choices[0].message
    after = client.chat.completions.create(**OPTIONS | dict(tools=[WEATHER], messages=ASK + [
        message.model_dump(),
        {"role": "tool", "tool_call_id": message.tool_calls[0].id,
         "content": [{"type": "text", "text": "18 degrees, sunny"}]},
        {"role": "user", "content": "Say it in one sentence."}], tool_choice="none"))
    assert after.choices[0].message.content and after.choices[0].finish_reason in ("stop", "length")
    # The tool's result is in the prompt: the same with less in it is shorter.
    less = client.chat.completions.create(**OPTIONS | dict(tools=[WEATHER], tool_choice="none", max_tokens=1))
    assert after.usage.prompt_tokens > less.usage.prompt_tokens + 20


def test_auto_answers_or_calls(client):
    for tools in ([WEATHER], [WEATHER | {"function": WEATHER["function"] | {"strict": True}}]):
        choice = client.chat.completions.create(tools=tools, **OPTIONS).choices[0]
        if choice.message.tool_calls:
            assert choice.finish_reason in ("tool_calls", "length")
        else:
            assert choice.message.content


def test_refusals(client):
    for options, parameter in [
            (dict(tool_choice="required"), "tool_choice"),
            (dict(tools=[WEATHER], tool_choice={"type": "function", "function": {"name": "f"}}),
             "tool_choice.function.name"),
            (dict(tools=[WEATHER], tool_choice="required", response_format={"type": "json_object"}), "response_format"),
            (dict(tools=[{"type": "function", "function": {"name": "f", "parameters": {"type": "thing"}}}],
                  tool_choice="required"), "tools[0].function.parameters"),
            (dict(reasoning_effort="high"), "reasoning_effort")]:
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(**OPTIONS | options)
        assert caught.value.param == parameter


def test_parsers_as_flags(start):
    """Other formats serve too, and `none` leaves text alone."""
    for name in ("llama3_json", "pythonic", "json"):
        client = openai.OpenAI(base_url=start("--tool-call-parser", name).url + "/v1", api_key="x", max_retries=0)
        answer = client.chat.completions.create(
            tools=[WEATHER], tool_choice="required", parallel_tool_calls=False, **OPTIONS)
        [call] = answer.choices[0].message.tool_calls
        check(call)
    client = openai.OpenAI(
        base_url=start("--tool-call-parser", "none", "--strict-requests").url + "/v1", api_key="x", max_retries=0)
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(tools=[WEATHER], tool_choice="required", **OPTIONS)
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(extra_body={"temprature": 1}, **OPTIONS)
    assert caught.value.param == "temprature" and caught.value.code == "unknown_parameter"


def test_langchain(server):
    from langchain_core.messages import HumanMessage, ToolMessage
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI

    @tool
    def get_weather(city: Literal["Paris", "Rome"]) -> str:
        """The weather of a city."""
        return f"It is sunny in {city}."

    model = ChatOpenAI(
        model="smollm2", base_url=server.url + "/v1", api_key="x", temperature=0, max_tokens=120, max_retries=0)
    messages = [HumanMessage("What is the weather in Paris?")]
    answer = model.bind_tools([get_weather], tool_choice="get_weather", parallel_tool_calls=False).invoke(messages)
    [call] = answer.tool_calls
    assert call["name"] == "get_weather" and call["args"]["city"] in ("Paris", "Rome")
    messages += [answer, ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"])]
    assert model.invoke(messages).content
    pieces = list(model.bind_tools([get_weather], tool_choice="any", parallel_tool_calls=False).stream(messages[:1]))
    joined = pieces[0]
    for piece in pieces[1:]:
        joined += piece
    assert joined.tool_calls[0]["name"] == "get_weather"
