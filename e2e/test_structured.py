"""Structured output: whatever the model samples matches."""
import json
import re

import httpx
import openai
import pytest
from pydantic import BaseModel, Field

CHAT = [{"role": "user", "content": "Describe a person as JSON."}]
PERSON = {
    "type": "object", "additionalProperties": False, "required": ["name", "age", "colours"],
    "properties": {
        "name": {"type": "string", "maxLength": 16}, "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "colours": {"type": "array", "maxItems": 3, "items": {"enum": ["red", "green", "blue"]}}}}


class Person(BaseModel):
    name: str = Field(max_length=12)
    age: int = Field(ge=0, le=120)
    likes_tea: bool


def check(text):
    person = json.loads(text)
    assert set(person) == {"name", "age", "colours"}
    assert len(person["name"]) <= 16 and 0 <= person["age"] <= 150
    assert len(person["colours"]) <= 3 and set(person["colours"]) <= {"red", "green", "blue"}


@pytest.mark.parametrize("temperature", [0, 1, 2])
def test_json_schema(client, temperature):
    answer = client.chat.completions.create(
        model="smollm2", messages=CHAT, temperature=temperature, seed=5, max_tokens=200, n=2,
        response_format={"type": "json_schema", "json_schema": {"name": "person", "strict": True, "schema": PERSON}})
    for choice in answer.choices:
        assert choice.finish_reason == "stop"
        check(choice.message.content)


def test_parse_and_stream_with_pydantic(client):
    options = dict(model="smollm2", messages=CHAT, temperature=0, max_tokens=120)
    answer = client.chat.completions.parse(response_format=Person, **options)
    assert isinstance(answer.choices[0].message.parsed, Person)
    with client.chat.completions.stream(response_format=Person, **options) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()
    assert final.choices[0].message.parsed == answer.choices[0].message.parsed


def test_json_object(client):
    answer = client.chat.completions.create(
        model="smollm2", messages=CHAT, temperature=0, max_tokens=300, response_format={"type": "json_object"})
    text = answer.choices[0].message.content
    assert text.lstrip().startswith("{")
    if answer.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(text), dict)


@pytest.mark.parametrize("fields, expression", [
    ({"structured_outputs": {"choice": ["positive", "negative"]}}, "positive|negative"),
    ({"structured_outputs": {"regex": "[a-c]{3,5}-\\d{2}"}}, "[a-c]{3,5}-[0-9]{2}"),
    ({"structured_outputs": {"grammar": 'root ::= "yes" | "no" " way"?'}}, "yes|no( way)?"),
    ({"guided_choice": ["one", "two"]}, "one|two"),
    ({"guided_regex": "x{1,3}y"}, "x{1,3}y"),
    ({"guided_json": {"type": "integer", "minimum": 5, "maximum": 7}}, "[5-7]"),
])
def test_extra_fields_on_every_route(client, http, fields, expression):
    texts = [
        client.chat.completions.create(
            model="smollm2", messages=CHAT, max_tokens=60, seed=3, extra_body=fields).choices[0].message.content,
        client.completions.create(
            model="smollm2", prompt="Say", max_tokens=60, seed=3, extra_body=fields).choices[0].text,
        http.post("/generate", json={"prompt": "Say", "max_tokens": 60, "seed": 3, **fields}).json()["outputs"][0]["text"]]
    for text in texts:
        assert re.fullmatch(expression, text), text


@pytest.mark.parametrize("fields, parameter", [
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "thing"}}}},
     "response_format.json_schema.schema"),
    ({"structured_outputs": {"regex": "("}}, "structured_outputs.regex"),
    ({"structured_outputs": {"regex": "a", "choice": ["b"]}}, "structured_outputs.choice"),
    ({"guided_grammar": 'root ::= "a'}, "guided_grammar"),
    ({"guided_whitespace_pattern": " "}, "guided_whitespace_pattern"),
])
def test_refusals(client, http, fields, parameter):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="smollm2", messages=CHAT, extra_body=fields)
    assert caught.value.param == parameter
    answer = http.post("/generate", json={"prompt": "a", **fields})
    assert answer.status_code == 400 and answer.json()["error"]["param"] == parameter


def test_neighbours_are_free(server):
    """A constrained stream beside a free one changes nothing for it."""
    body = {"prompt": "The capital of France is", "max_tokens": 24, "temperature": 0}
    with httpx.Client(base_url=server.url, timeout=120) as http:
        alone = http.post("/generate", json=body).json()["outputs"][0]["text"]
        with http.stream("POST", "/generate", json=body | {"stream": True, "max_tokens": 200,
                                                           "structured_outputs": {"regex": "[ab]{150}"}}) as constrained:
            lines = constrained.iter_lines()
            next(lines)
            assert http.post("/generate", json=body).json()["outputs"][0]["text"] == alone
            text = "".join(
                output["text"] for line in lines if line.startswith("data: {") for output in json.loads(line[6:])["outputs"])
    assert set(text) <= {"a", "b"}
