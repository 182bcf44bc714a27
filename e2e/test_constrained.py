"""Outputs that must match: every one does, at any temperature, whatever else runs."""
import json
import re
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 20}, "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "tags": {"type": "array", "items": {"enum": ["red", "green", "blue"]}, "maxItems": 3},
        "city": {"anyOf": [{"type": "null"}, {"type": "string", "maxLength": 10}]},
    },
    "required": ["name", "age", "tags", "city"], "additionalProperties": False,
}
MESSAGES = [{"role": "user", "content": "Describe a person as JSON."}]


def check(text):
    person = json.loads(text)
    assert set(person) == {"name", "age", "tags", "city"}
    assert isinstance(person["name"], str) and len(person["name"]) <= 20
    assert isinstance(person["age"], int) and 0 <= person["age"] <= 150
    assert len(person["tags"]) <= 3 and set(person["tags"]) <= {"red", "green", "blue"}
    assert person["city"] is None or len(person["city"]) <= 10


def schema(schema):
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}


@pytest.mark.parametrize("temperature", [0, 1, 2])
def test_every_answer_matches(client, temperature):
    def ask(seed):
        return client.chat.completions.create(
            model="smollm2", messages=MESSAGES, temperature=temperature, seed=seed, max_tokens=400, n=2,
            response_format=schema(PERSON))

    with ThreadPoolExecutor(6) as pool:
        for answer in pool.map(ask, range(6)):
            for choice in answer.choices:
                assert choice.finish_reason == "stop"
                check(choice.message.content)


def numbers(count):
    names = [f"field_{number * 7 % count}" for number in range(count)]
    return {
        "type": "object", "properties": {name: {"type": "integer", "minimum": 0, "maximum": 99} for name in names},
        "required": sorted(names), "additionalProperties": False,
    }


def ordered(text, schema):
    members = json.loads(text, object_pairs_hook=list)
    assert [name for name, _ in members] == list(schema["properties"])
    assert all(0 <= value <= 99 for _, value in members)
    assert re.fullmatch(r'\{"[^\s]*( "[^\s]*| -?\d[^\s]*)*\}', text), text


@pytest.mark.parametrize("count,temperature", [(5, 0), (5, 1.5), (30, 0), (30, 1.5)])
def test_strict_answers_keep_the_order(client, count, temperature):
    wanted = numbers(count)
    answer = client.chat.completions.create(
        model="smollm2", messages=MESSAGES, temperature=temperature, seed=3, max_tokens=25 * count, n=2,
        response_format=schema(wanted))
    for choice in answer.choices:
        assert choice.finish_reason == "stop"
        ordered(choice.message.content, wanted)


def test_forced_calls_keep_the_order(client):
    wanted = numbers(6)
    tool = {"type": "function", "function": {"name": "fill", "parameters": wanted}}
    answer = client.chat.completions.create(
        model="smollm2", messages=MESSAGES, temperature=1.5, seed=3, max_tokens=200, tools=[tool],
        tool_choice="required", parallel_tool_calls=False)
    ordered(answer.choices[0].message.tool_calls[0].function.arguments, wanted)


def test_large_schemas_without_strict_are_served(client):
    wanted = numbers(30)
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": wanted}}
    answer = client.chat.completions.create(
        model="smollm2", messages=MESSAGES, temperature=1, seed=3, max_tokens=750, response_format=form)
    assert answer.choices[0].finish_reason == "stop"
    ordered(answer.choices[0].message.content, wanted)


def test_no_white_space(client):
    answer = client.chat.completions.create(
        model="smollm2", messages=MESSAGES, temperature=1, seed=3, max_tokens=400,
        extra_body={"structured_outputs": {"json": numbers(5), "disable_any_whitespace": True}})
    assert not re.search(r"\s", answer.choices[0].message.content)


def test_streams_match_what_comes_whole(client):
    options = dict(model="smollm2", messages=MESSAGES, temperature=1, seed=5, max_tokens=400,
                   response_format=schema(PERSON))
    whole = client.chat.completions.create(**options).choices[0].message.content
    chunks = client.chat.completions.create(**options, stream=True)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == whole


@pytest.mark.parametrize("constraint,pattern", [
    ({"regex": r"[A-Z]{3}-\d{4}( \(new\))?"}, r"[A-Z]{3}-\d{4}( \(new\))?"),
    ({"choice": ["yes", "no", "it depends"]}, "yes|no|it depends"),
    ({"grammar": 'root ::= "<" [a-z]+ ">"'}, r"<[a-z]+>"),
])
def test_structured_outputs(client, constraint, pattern):
    for seed in range(4):
        answer = client.completions.create(
            model="smollm2", prompt="The label is:", temperature=1.5, seed=seed, max_tokens=100,
            extra_body={"structured_outputs": constraint})
        if answer.choices[0].finish_reason == "stop":
            assert re.fullmatch(pattern, answer.choices[0].text), answer.choices[0].text


def test_a_whole_text_ends_at_once(client):
    answer = client.completions.create(
        model="smollm2", prompt="Say it:", max_tokens=50,
        extra_body={"structured_outputs": {"choice": ["hello"]}, "ignore_eos": True, "min_tokens": 20})
    assert answer.choices[0].text == "hello"
    assert answer.choices[0].finish_reason == "stop"


def test_too_few_tokens_cut(client):
    answer = client.chat.completions.create(
        model="smollm2", messages=MESSAGES, max_tokens=4, response_format=schema(PERSON))
    assert answer.choices[0].finish_reason == "length"


def test_a_grammar_that_cannot_be_used(client):
    with pytest.raises(openai.BadRequestError):
        client.completions.create(
            model="smollm2", prompt="a", extra_body={"structured_outputs": {"regex": "(["}})


def test_others_are_not_held_up(client, server):
    def plain(_):
        return client.completions.create(model="smollm2", prompt="One, two,", max_tokens=20, temperature=0)

    expected = plain(0).choices[0].text
    with ThreadPoolExecutor(8) as pool:
        held = [
            pool.submit(client.chat.completions.create, model="smollm2", messages=MESSAGES, max_tokens=200, seed=i,
                        response_format=schema(PERSON | {"title": f"schema {i}"})) for i in range(6)]
        assert all(answer.choices[0].text == expected for answer in pool.map(plain, range(6)))
        for answer in held:
            if answer.result().choices[0].finish_reason == "stop":
                check(answer.result().choices[0].message.content)
    server.wait_idle()
