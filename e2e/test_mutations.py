"""Real requests with faults put into them, on every surface: refused or answered, never a fault of the server."""
import http.client
import json
import random
import time

import grpc
import pytest
from test_grpc import grpc_address, stubs  # noqa: F401

from conftest import Server

SEED = 20261124
REQUESTS_A_ROUTE = 40


@pytest.fixture(scope="module")
def mutated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mutated")
    server = Server(folder / "log", "--max-model-len", "64", "--data-dir", str(folder / "data"), "--grpc-port", "0")
    yield server
    assert server.process.poll() is None, "the server died during the tests"
    assert server.stop() == 0


def mutate(body: bytes, chance: random.Random) -> bytes:
    """A body with one fault."""
    place = chance.randrange(len(body) + 1)
    match chance.randrange(9):
        case 0:  # A bit flips.
            place = min(place, len(body) - 1)
            return body[:place] + bytes([body[place] ^ 1 << chance.randrange(8)]) + body[place + 1:]
        case 1:
            return body[:place]
        case 2:  # No UTF-8.
            return body[:place] + chance.choice([b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80"]) + body[place:]
        case 3:  # A key again.
            return b'{"model":null,"model":null,' + body[1:]
        case 4:  # Deep.
            kind = chance.choice([(b"[", b"]"), (b'{"a":', b"}")])
            return b'{"messages":' + kind[0] * 5000 + b"1" + kind[1] * 5000 + b"}"
        case 5:  # Long numbers.
            return body[:place] + chance.choice([b"9" * 400, b"-1e999", b"1e-400", b"18446744073709551616"]) + body[place:]
        case 6:  # A part twice.
            end = min(len(body), place + chance.randrange(1, 40))
            return body[:end] + body[place:]
        case 7:  # A part is gone.
            return body[:place] + body[place + chance.randrange(1, 20):]
        case _:  # A value becomes another.
            value = json.loads(body)
            member = chance.choice(sorted(value))
            value[member] = chance.choice([None, True, -1, 2**63, 0.5, "", "\u0000", "\U0001f600" * 300, [], [[[]]], {}, [{}]])
            return json.dumps(value).encode()


def operations(server):
    """Every route that takes JSON, with its examples and the statuses that it may answer with."""
    for path, methods in server.client.get("/openapi.json").json()["paths"].items():
        operation = methods.get("post")
        body = operation and operation["requestBody"]["content"].get("application/json")
        if body and not path.startswith("/admin/"):
            examples = [example["value"] for example in body.get("examples", {}).values()] or [{}]
            yield path.replace("{model}", "smollm2").replace("{id}", "none"), examples, set(operation["responses"])


def test_every_route(mutated):
    chance = random.Random(SEED)
    host, port = mutated.url.removeprefix("http://").split(":")
    routes = list(operations(mutated))
    assert len(routes) > 15
    kinds = set()
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    for path, examples, known in routes:
        for _ in range(REQUESTS_A_ROUTE):
            example = {name: value for name, value in chance.choice(examples).items() if name != "model"} or {"model": None}
            body = mutate(json.dumps(example).encode(), chance)
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            assert str(answer.status) in known, (path, body[:300], answer.status, text[:300])
            assert answer.status < 500 or (answer.status == 501 and "501" in known), (path, body[:300], text[:300])
            # What was wrong was the request, not the connection.
            assert connection.sock is not None, (path, body[:300])
            kinds.add(answer.status)
    assert {200, 400} <= kinds
    connection.close()
    mutated.wait_idle(60)


def test_files_of_batches(mutated):
    chance = random.Random(SEED)
    line = json.dumps({"custom_id": "1", "method": "POST", "url": "/v1/completions",
                       "body": {"prompt": "Hello", "max_tokens": 2}}).encode()
    names = []
    for _ in range(12):
        content = b"\n".join(mutate(line, chance) if chance.random() < 0.7 else line for _ in range(4))
        file = mutated.client.post("/v1/files", data={"purpose": "batch"}, files={"file": ("a.jsonl", content)})
        assert file.status_code == 200, file.text
        batch = mutated.client.post("/v1/batches", json={
            "input_file_id": file.json()["id"], "endpoint": "/v1/completions", "completion_window": "24h"})
        assert batch.status_code == 200, batch.text
        names.append(batch.json()["id"])
    deadline = time.monotonic() + 120
    while any(mutated.client.get(f"/v1/batches/{name}").json()["status"] not in ("completed", "failed") for name in names):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_grpc_bytes(mutated, stubs):  # noqa: F811
    pb = stubs[0]
    chance = random.Random(SEED)
    sampling = pb.SamplingParameters(max_tokens=2, temperature=0.5, stop=["x"])
    text = pb.GenerateRequest(text="Hello", sampling=sampling).SerializeToString()
    allowed = {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}
    seen = set()
    with grpc.insecure_channel(grpc_address(mutated)) as channel:
        for method in ("Generate", "Chat", "Embed", "Tokenize"):
            call = channel.unary_unary(
                f"/martinet.v1.Inference/{method}", request_serializer=bytes, response_deserializer=bytes)
            for _ in range(60):
                body = bytearray(text)
                for _ in range(chance.randint(1, 4)):
                    body[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
                body = bytes(body[:chance.randint(1, len(body))]) if chance.random() < 0.2 else bytes(body)
                try:
                    call(body, timeout=30)
                    seen.add(grpc.StatusCode.OK)
                except grpc.RpcError as error:
                    seen.add(error.code())
                    assert error.code() in allowed, (method, body, error.code(), error.details())
    assert grpc.StatusCode.INVALID_ARGUMENT in seen and grpc.StatusCode.OK in seen
    mutated.wait_idle(60)
