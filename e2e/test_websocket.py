"""`/v1/ws` with the `websockets` client."""
import asyncio
import json
import os
import random
import signal

import httpx
import pytest
import websockets
from test_http import CERTIFICATES, trust

LONG = {"prompt": "Once", "max_tokens": 4000, "ignore_eos": True}


def run(action, seconds=120):
    return asyncio.run(asyncio.wait_for(action, seconds))


def connect(server, **options):
    return websockets.connect(server.url.replace("http", "ws", 1) + "/v1/ws", max_size=None, **options)


async def send(socket, **message):
    await socket.send(json.dumps(message))


async def until(socket, *types, id=None):
    """The messages up to the first of the given types."""
    messages = []
    while True:
        messages.append(json.loads(await socket.recv()))
        if messages[-1]["type"] in types and (id is None or messages[-1].get("id") == id):
            return messages


async def ends(socket, count):
    """All messages until so many generations ended."""
    messages = []
    while count:
        messages.append(json.loads(await socket.recv()))
        count -= messages[-1]["type"] in ("done", "cancelled", "error")
    return messages


def text(messages, id):
    result = ""
    for message in messages:
        if message["type"] == "delta" and message["id"] == id:
            chunk = message["chunk"]
            for output in chunk.get("outputs", []):
                result += output["text"]
            for choice in chunk.get("choices", []):
                result += choice.get("text") or choice.get("delta", {}).get("content") or ""
    return result


def test_eight_at_once(server, http):
    prompts = [f"The number {number} is" for number in range(8)]
    expected = [http.post("/generate", json={"prompt": prompt, "max_tokens": 20, "temperature": 0}).json()
                for prompt in prompts]

    async def multiplex():
        async with connect(server) as socket:
            for number, prompt in enumerate(prompts):
                await send(socket, type="generate", id=f"{number}", prompt=prompt, max_tokens=20, temperature=0)
            return await ends(socket, 8)

    messages = run(multiplex())
    for number, answer in enumerate(expected):
        assert text(messages, f"{number}") == answer["outputs"][0]["text"]
        mine = [message["type"] for message in messages if message["id"] == f"{number}"]
        assert mine[0] == "accepted" and mine[-1] == "done" and set(mine[1:-1]) == {"delta"}
        done = next(m for m in messages if m["type"] == "done" and m["id"] == f"{number}")
        assert done["usage"]["completion_tokens"] == answer["usage"]["completion_tokens"]
    # They ran side by side: no answer came whole before the next began.
    first = [index for index, m in enumerate(messages) if m["type"] == "delta" and m["id"] == "0"]
    assert any(m["type"] == "delta" and m["id"] == "7" for m in messages[first[0]:first[-1]])


def test_chat_and_completion(server, client):
    messages = [{"role": "user", "content": "What is the capital of France?"}]

    async def talk():
        async with connect(server) as socket:
            await send(socket, type="chat", id="a", messages=messages, temperature=0, max_tokens=12)
            await send(socket, type="chat", id="b", messages=messages, temperature=0, max_tokens=12, stream=False)
            await send(socket, type="completion", id="c", prompt="One, two,", temperature=0, max_tokens=8)
            return await ends(socket, 3)

    answers = run(talk())
    expected = client.chat.completions.create(
        model="smollm2", messages=messages, temperature=0, max_tokens=12).choices[0].message.content
    assert text(answers, "a") == expected
    done = next(m for m in answers if m["type"] == "done" and m["id"] == "b")
    assert done["response"]["choices"][0]["message"]["content"] == expected
    assert text(answers, "c") == client.completions.create(
        model="smollm2", prompt="One, two,", temperature=0, max_tokens=8).choices[0].text


def test_cancel_frees_the_slot(server):
    async def cancel():
        async with connect(server) as socket:
            await send(socket, type="generate", id="a", **LONG)
            await send(socket, type="generate", id="b", **LONG, stream=False)
            await until(socket, "delta", id="a")
            await send(socket, type="cancel", id="a")
            await until(socket, "cancelled", id="a")
            await send(socket, type="cancel", id="b")
            await until(socket, "cancelled", id="b")
            await asyncio.to_thread(server.wait_idle, 10)
            await send(socket, type="generate", id="a", prompt="Hi", max_tokens=2)
            await until(socket, "done", id="a")

    run(cancel())


@pytest.mark.parametrize("way", ["abort", "close"])
def test_a_client_that_vanishes_frees_its_slots(server, way):
    async def vanish():
        socket = await connect(server)
        for number in range(4):
            await send(socket, type="generate", id=f"{number}", **LONG)
        for number in range(4):
            await until(socket, "delta")
        if way == "abort":
            socket.transport.abort()
        else:
            await socket.close()

    run(vanish())
    server.wait_idle(10)


def test_errors(server):
    async def err():
        async with connect(server) as socket:
            cases = [("nonsense", None, 400, "invalid_json"), ("[1]", None, 400, "invalid_type"),
                     ('{"type":"generate"}', None, 400, "missing_required_parameter"),
                     ('{"type":"generate","id":"a"}', "a", 400, "missing_required_parameter"),
                     ('{"type":"chat","id":"a","messages":"x"}', "a", 400, "invalid_type"),
                     ('{"type":"chat","id":"a","model":"x","messages":[]}', "a", 404, "model_not_found"),
                     ('{"type":"generate","id":"a","prompt":"' + "word " * 20000 + '"}', "a", 400,
                      "context_length_exceeded"),
                     ('{"type":"cancel","id":"z"}', None, 400, "unknown_id"),
                     ("[" * 100_000, None, 400, "invalid_json"), ('{"type":"\\u0000","id":"q"}', "q", 400, None)]
            for message, id, status, code in cases:
                await socket.send(message)
                error = (await until(socket, "error"))[-1]
                assert (error.get("id"), error["status"]) == (id, status), (message[:100], error)
                assert code is None or error["error"]["code"] == code, (message[:100], error)
            await send(socket, type="ping", id="still here")
            assert (await until(socket, "pong"))[-1]["id"] == "still here"
            pong = await socket.ping()
            await asyncio.wait_for(pong, 10)

    run(err())


@pytest.mark.parametrize("message, code", [(b"\x00\x01", 1003), ("x" * (9 << 20), 1009)])
def test_messages_that_end_the_connection(server, message, code):
    async def provoke():
        async with connect(server) as socket:
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await socket.send(message)
                while True:
                    await asyncio.wait_for(socket.recv(), 20)
            assert closed.value.rcvd is None or closed.value.rcvd.code == code

    run(provoke())


def test_large_messages(server):
    async def large():
        async with connect(server) as socket:
            words = "word " * 1_200_000
            await send(socket, type="generate", id="a", prompt=words[:6_000_000], max_tokens=2)
            error = (await until(socket, "error", id="a"))[-1]
            assert error["error"]["code"] == "context_length_exceeded"
            # In fragments, with a ping between.
            body = json.dumps({"type": "generate", "id": "b", "prompt": "Hi", "max_tokens": 2})
            await socket.send([body[:10], body[10:11], body[11:]])
            await until(socket, "done", id="b")

    run(large())


def test_garbage_disturbs_nobody(server):
    """Mutated messages and frames beside a stream that must come whole."""
    chance = random.Random(5)
    seed = json.dumps({"type": "generate", "id": "m", "prompt": "Hello", "max_tokens": 3, "stop": ["x"]})

    def mutate():
        characters = list(seed)
        for _ in range(chance.randint(1, 6)):
            characters[chance.randrange(len(characters))] = chance.choice('{}[]":,0-e\\\u0000\u00e9x ')
        return "".join(characters)

    async def noise():
        async with connect(server) as socket:
            for _ in range(300):
                await socket.send(mutate())
            await send(socket, type="ping", id="end")
            while json.loads(await socket.recv()) != {"type": "pong", "id": "end"}:
                pass
        host, port = server.url.split("//")[1].split(":")
        for _ in range(40):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"GET /v1/ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                         b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
            writer.write(chance.randbytes(200))
            writer.write_eof()
            await asyncio.wait_for(reader.read(), 30)
            writer.close()

    async def neighbour():
        async with connect(server) as socket:
            await send(socket, type="generate", id="n", prompt="Once", max_tokens=150, ignore_eos=True)
            return (await until(socket, "done", id="n"))[-1]["usage"]["completion_tokens"]

    async def both():
        return (await asyncio.gather(noise(), neighbour()))[1]

    assert run(both()) == 150
    server.wait_idle()


def test_a_slow_reader_blocks_nobody(server):
    async def slow():
        # A small buffer of the client's: the server feels at once that nobody reads.
        async with connect(server, max_queue=1) as lazy, connect(server) as other:
            for number in range(4):
                await send(lazy, type="generate", id=f"{number}", prompt="Once", max_tokens=400, ignore_eos=True,
                           logprobs=20)
            await send(other, type="generate", id="o", prompt="Hi", max_tokens=20, ignore_eos=True)
            await until(other, "done", id="o")
            await asyncio.sleep(1)
            # Nothing is lost to the one who reads late.
            messages = await ends(lazy, 4)
            for number in range(4):
                tokens = sum(len(output["token_ids"]) for m in messages
                             if m["type"] == "delta" and m["id"] == f"{number}" for output in m["chunk"]["outputs"])
                assert tokens == 400

    run(slow())
    server.wait_idle()


def test_limit_of_generations(start):
    server = start("--max-websocket-generations", "2", "--max-websocket-message", "64KiB")

    async def crowd():
        async with connect(server) as socket:
            for id in ["a", "b", "c", "a"]:
                await send(socket, type="generate", id=id, **LONG)
            errors = []
            while len(errors) < 2:
                errors += [m for m in [json.loads(await socket.recv())] if m["type"] == "error"]
            assert errors[0]["id"] == "c" and errors[0]["error"]["code"] == "too_many_generations"
            assert errors[0]["status"] == 429
            assert "id" not in errors[1] and errors[1]["error"]["code"] == "duplicate_id"
        with pytest.raises(websockets.ConnectionClosed):
            async with connect(server) as socket:
                await socket.send("x" * 65_537)
                await socket.recv()

    run(crowd())
    server.wait_idle()


def test_origins(start):
    server = start("--cors-origin", "https://chat.example")

    async def visit(origin):
        async with connect(server, origin=origin) as socket:
            await send(socket, type="ping")
            await until(socket, "pong")

    for origin in [None, "https://chat.example", server.url]:
        run(visit(origin))
    for origin in ["https://evil.example", "null", server.url + "0"]:
        with pytest.raises(websockets.InvalidStatus) as refused:
            run(visit(origin))
        assert refused.value.response.status_code == 403
    answer = httpx.get(server.url + "/v1/ws")
    assert answer.status_code == 426 and answer.headers["upgrade"] == "websocket"


def test_over_tls_and_to_the_end(start):
    server = start("--tls-certificate", CERTIFICATES / "worker.pem", "--tls-key", CERTIFICATES / "worker.key",
                   verify=trust())

    async def drain():
        async with connect(server, ssl=trust()) as socket, connect(server, ssl=trust()) as idle:
            await send(socket, type="generate", id="a", prompt="Once", max_tokens=100, ignore_eos=True)
            await until(socket, "delta")
            os.kill(server.process.pid, signal.SIGTERM)
            # What runs comes to its end, then the connection does.
            done = (await until(socket, "done"))[-1]
            assert done["usage"]["completion_tokens"] == 100
            for one in [socket, idle]:
                with pytest.raises(websockets.ConnectionClosed) as closed:
                    while True:
                        await one.recv()
                assert closed.value.rcvd.code == 1001

    run(drain())
    assert server.process.wait(20) == 0
