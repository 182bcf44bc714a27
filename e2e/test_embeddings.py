"""/v1/embeddings with the official OpenAI client, on the real default model."""
import base64
import math
import struct
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest

TEXTS = ["A cat sits on the mat.", "A kitten lies on the rug.", "Interest rates rose again in March.", "é✓"]
WIDTH = 576


def vectors(client, inputs, **options):
    answer = client.embeddings.create(model="smollm2", input=inputs, **options)
    assert [d.index for d in answer.data] == list(range(len(answer.data)))
    assert all(d.object == "embedding" for d in answer.data)
    return [d.embedding for d in answer.data]


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


def test_vectors(client):
    answer = client.embeddings.create(model="smollm2", input=TEXTS)
    assert answer.object == "list" and answer.model == "smollm2"
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > len(TEXTS)
    for data in answer.data:
        assert len(data.embedding) == WIDTH
        assert math.isclose(dot(data.embedding, data.embedding), 1, rel_tol=1e-5)
    cat, kitten, rates, _ = (d.embedding for d in answer.data)
    assert dot(cat, kitten) > dot(cat, rates)


def test_all_forms_of_input(client, http):
    tokens = [http.post("/tokenize", json={"prompt": text}).json()["tokens"] for text in TEXTS]
    expected = vectors(client, TEXTS)
    assert vectors(client, tokens) == expected
    for text, ids, vector in zip(TEXTS, tokens, expected):
        assert vectors(client, text) == [vector]
        assert vectors(client, ids) == [vector]


def test_encodings(client, http):
    # The client asks for base64 where nothing is said.
    expected = vectors(client, TEXTS)
    for vector, same in zip(vectors(client, TEXTS, encoding_format="float"), expected):
        assert vector == pytest.approx(same)
    raw = http.post("/v1/embeddings", json={"input": TEXTS, "encoding_format": "base64"}).json()
    for data, vector in zip(raw["data"], expected):
        assert struct.unpack(f"<{WIDTH}f", base64.b64decode(data["embedding"])) == pytest.approx(vector)


def test_dimensions(client):
    [whole] = vectors(client, TEXTS[0])
    [short] = vectors(client, TEXTS[0], dimensions=64)
    length = math.sqrt(dot(whole[:64], whole[:64]))
    assert short == pytest.approx([value / length for value in whole[:64]], rel=1e-5)
    [raw] = vectors(client, TEXTS[0], extra_body={"normalize": False})
    assert dot(raw, raw) > 1.5
    length = math.sqrt(dot(raw, raw))
    assert whole == pytest.approx([value / length for value in raw], rel=1e-4, abs=1e-6)


def test_truncation(client, http):
    tokens = http.post("/tokenize", json={"prompt": TEXTS[2]}).json()["tokens"]
    cut = client.embeddings.create(model="smollm2", input=TEXTS[2], extra_body={"truncate_prompt_tokens": 3})
    assert cut.usage.prompt_tokens == 3
    assert cut.data[0].embedding == vectors(client, tokens[-3:])[0]


def test_long_texts_are_the_same_alone_and_beside_streams(client):
    texts = [f"{word} " * 700 for word in ("river", "stone", "lamp")]
    alone = [vectors(client, text)[0] for text in texts]

    def chat(index):
        return client.completions.create(
            model="smollm2", prompt=f"Tell a story about number {index}.", max_tokens=60, temperature=0).choices[0].text

    quiet = [chat(index) for index in range(4)]
    with ThreadPoolExecutor(8) as pool:
        stories = [pool.submit(chat, index) for index in range(4)]
        found = [pool.submit(vectors, client, text) for text in texts]
        assert [f.result()[0] for f in found] == alone
        assert [story.result() for story in stories] == quiet


@pytest.mark.parametrize("body,param", [
    ({}, "input"), ({"input": ""}, "input"), ({"input": []}, "input"), ({"input": [[]]}, "input[0]"),
    ({"input": {"a": 1}}, "input"), ({"input": [10**9]}, "input[0]"), ({"input": "a", "dimensions": 0}, "dimensions"),
    ({"input": "a", "dimensions": WIDTH + 1}, "dimensions"), ({"input": "a", "encoding_format": "hex"}, "encoding_format"),
    ({"input": "a", "truncate_prompt_tokens": -2}, "truncate_prompt_tokens"),
])
def test_bad_requests(http, body, param):
    answer = http.post("/v1/embeddings", json=body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"] == param


def test_errors_of_the_client(client):
    with pytest.raises(openai.BadRequestError) as error:
        vectors(client, "word " * 20000)
    assert error.value.code == "context_length_exceeded"
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="other", input="a")


def test_nothing_is_left(server, client):
    vectors(client, TEXTS * 50)
    server.wait_idle()
