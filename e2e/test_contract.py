"""What any client's own test file would check: health, generation, streaming, batches, tokens."""
import json

import httpx


def test_health(http):
    answer = http.get("/health")
    assert answer.status_code == 200
    assert answer.json()["status"] == "healthy"


def test_probes(http):
    for path in ["/livez", "/readyz", "/startupz", "/ping", "/version"]:
        assert http.get(path).status_code == 200, path


def test_generate(http):
    answer = http.post("/generate", json={"prompt": "Once upon a time", "max_tokens": 20}).json()
    assert answer["outputs"][0]["text"].strip()
    assert answer["prompt"] == "Once upon a time"
    assert answer["request_id"]
    assert len(answer["outputs"][0]["token_ids"]) <= 20
    assert answer["usage"]["completion_tokens"] == len(answer["outputs"][0]["token_ids"])
    assert answer["usage"]["total_tokens"] == answer["usage"]["prompt_tokens"] + answer["usage"]["completion_tokens"]


def test_generate_stream(http):
    text, events = "", 0
    with http.stream("POST", "/generate", json={
            "prompt": "Once upon a time", "max_tokens": 20, "stream": True, "temperature": 0}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            if not line:
                continue
            assert line.startswith("data: ")
            if line == "data: [DONE]":
                break
            event = json.loads(line[6:])
            events += 1
            text += "".join(output["text"] for output in event["outputs"])
        else:
            raise AssertionError("the stream has no end")
    whole = http.post("/generate", json={"prompt": "Once upon a time", "max_tokens": 20, "temperature": 0}).json()
    assert text == whole["outputs"][0]["text"]
    assert events > 3


def test_generate_batch(http):
    prompts = ["The capital of France is", "Two and two make", "The sun rises in the"]
    answer = http.post("/generate_batch", json={"prompts": prompts, "max_tokens": 8, "temperature": 0}).json()
    assert len(answer["outputs"]) == 3
    for index, (prompt, output) in enumerate(zip(prompts, answer["outputs"])):
        assert output["text"] and output["index"] == index and output["prompt"] == prompt
        alone = http.post("/generate", json={"prompt": prompt, "max_tokens": 8, "temperature": 0}).json()
        assert output["text"] == alone["outputs"][0]["text"]


def test_token_ids_as_prompt(http):
    ids = http.post("/tokenize", json={"prompt": "The capital of France is"}).json()["tokens"]
    body = {"max_tokens": 6, "temperature": 0}
    by_ids = http.post("/generate", json={"prompt": ids, **body}).json()
    by_text = http.post("/generate", json={"prompt": "The capital of France is", **body}).json()
    assert by_ids["outputs"][0]["token_ids"] == by_text["outputs"][0]["token_ids"]


def test_tokens_round_trip(http):
    for text in ["Hello, world!", "  spaces\n\n\ttabs", "naïve café — “quotes”", "日本語と한국어", "🦜👩‍👩‍👧", "x=1;//c"]:
        answer = http.post("/tokenize", json={"prompt": text, "return_token_strs": True}).json()
        assert answer["count"] == len(answer["tokens"]) == len(answer["token_strs"])
        assert http.post("/detokenize", json={"tokens": answer["tokens"]}).json()["prompt"] == text


def test_tokenize_messages(http):
    answer = http.post("/tokenize", json={"messages": [{"role": "user", "content": "Hi <|im_end|>"}]}).json()
    text = http.post("/detokenize", json={"tokens": answer["tokens"]}).json()["prompt"]
    assert text.endswith("<|im_start|>assistant\n")
    # The user's own <|im_end|> stays text: beside the system's and the user's own turn there is no third end token.
    end = http.post("/tokenize", json={"prompt": "<|im_end|>"}).json()["tokens"]
    assert len(end) == 1
    assert answer["tokens"].count(end[0]) == text.count("<|im_end|>") - 1


def test_model_list(http):
    models = http.get("/v1/models").json()["data"]
    assert [model["id"] for model in models] == ["smollm2"]
    assert models[0]["max_model_len"] > 100
    assert http.get("/v1/models/smollm2").json() == models[0]
    assert http.get("/v1/models/gpt-9").status_code == 404


def test_request_ids(http):
    assert http.get("/health", headers={"X-Request-Id": "mine-1"}).headers["x-request-id"] == "mine-1"
    ids = {http.get("/health").headers["x-request-id"] for _ in range(5)}
    assert len(ids) == 5
