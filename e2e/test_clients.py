"""Many clients at once, clients that leave, clients that do not read."""
import concurrent.futures
import json
import multiprocessing
import os
import signal
import socket
import time

import httpx
import openai


def chat(url: str, index: int) -> str | None:
    """Streams a chat; odd clients leave after a few tokens."""
    text, pieces = "", 0
    with openai.OpenAI(base_url=url + "/v1", api_key="x", timeout=150, max_retries=0) as client:
        stream = client.chat.completions.create(
            model="smollm2", messages=[{"role": "user", "content": f"Write about the number {index}."}], stream=True,
            temperature=0, max_tokens=16 if index % 2 == 0 else 400)
        for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                text += chunk.choices[0].delta.content
                pieces += 1
                if index % 2 == 1 and pieces == 3 + index % 5:
                    stream.close()
                    return None
    return text


def test_64_clients_half_leave(server):
    server.wait_idle()
    before = server.metric("martinet_client_disconnects_total")
    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        texts = list(pool.map(lambda index: chat(server.url, index), range(64), timeout=170))
    server.wait_idle()
    stayed = [text for text in texts if text is not None]
    assert len(stayed) == 32 and all(text.strip() for text in stayed)
    assert server.metric("martinet_client_disconnects_total") - before == 32
    # What they got does not depend on the crowd.
    assert stayed[3] == chat(server.url, 6)


def test_a_request_that_waits_for_its_answer_ends_when_its_client_leaves(server):
    server.wait_idle()
    host, port = server.url.removeprefix("http://").split(":")
    body = json.dumps({"prompt": "Tell me everything.", "max_tokens": 3000, "ignore_eos": True}).encode()
    with socket.create_connection((host, int(port)), 10) as connection:
        connection.sendall(
            b"POST /generate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
            % (len(body), body))
        deadline = time.monotonic() + 10
        while server.metric("vllm:num_requests_running") == 0:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    server.wait_idle(5)


def stream_forever(url: str, started) -> None:
    body = {"prompt": "Tell me everything.", "max_tokens": 3000, "ignore_eos": True, "stream": True}
    with httpx.stream("POST", url + "/generate", json=body, timeout=60) as answer:
        for _ in answer.iter_lines():
            started.set()


def test_kill_9_mid_stream(server):
    server.wait_idle()
    context = multiprocessing.get_context("spawn")
    started = context.Event()
    process = context.Process(target=stream_forever, args=(server.url, started))
    process.start()
    try:
        assert started.wait(30)
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.join(10)
    server.wait_idle(5)


def test_a_client_that_never_reads(server):
    server.wait_idle()
    host, port = server.url.removeprefix("http://").split(":")
    body = json.dumps({"prompt": "Hi", "max_tokens": 200, "n": 4, "ignore_eos": True, "stream": True}).encode()
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        connection.settimeout(10)
        connection.connect((host, int(port)))
        connection.sendall(b"POST /generate HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        time.sleep(1)
        assert server.client.get("/health").status_code == 200
        answer = server.client.post("/generate", json={"prompt": "One two", "max_tokens": 4}).json()
        assert answer["outputs"][0]["token_ids"]
    server.wait_idle(15)


def test_prefix_cache_is_counted(server):
    prompt = "The quick brown fox jumps over the lazy dog. " * 20
    usages = [server.client.post("/generate", json={"prompt": prompt, "max_tokens": 2, "temperature": 0}).json()["usage"]
              for _ in range(2)]
    assert usages[1]["prompt_tokens_details"]["cached_tokens"] > 100
    server.wait_idle()
