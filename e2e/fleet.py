"""What the tests of workers share: requests whose answers are known, streams, and who runs what."""
import json
import os
import random
import threading
import time

import httpx

WORDS = ("river stone garden window letter music winter bridge harbour candle forest mirror engine planet shadow "
         "silver thunder village meadow lantern").split()


def requests(count: int, tokens: int, seed: int = 1) -> list[dict]:
    """Requests of many kinds whose answers are fixed: by choosing the likeliest token, or by a seed."""
    rng = random.Random(seed)
    made = []
    for index in range(count):
        body = {"prompt": "Tell me about the " + " ".join(rng.choices(WORDS, k=rng.randint(3, 60))) + ".",
                "max_tokens": tokens + rng.randint(-tokens // 4, tokens // 4), "ignore_eos": True, "stream": True,
                "stream_options": {"include_usage": True}}
        kind = index % 4
        if kind == 0:
            body |= {"temperature": 0}
        elif kind == 1:
            body |= {"temperature": 0.8, "seed": index}
        elif kind == 2:
            body |= {"temperature": 1, "seed": index, "top_p": 0.9, "presence_penalty": 0.5,
                     "repetition_penalty": 1.1, "n": 2}
        else:
            body |= {"temperature": 0, "logprobs": 2, "frequency_penalty": 0.7}
        made.append(body)
    return made


def answer(url: str, body: dict, on_event=lambda: None, timeout: float = 300, path: str = "/v1/completions") -> dict:
    """Reads a stream to its end: texts and log probabilities by choice, the finish reasons, and the usage."""
    result = {"text": {}, "logprobs": {}, "finish": {}, "usage": None}
    done = False
    with httpx.stream("POST", url + path, json=body, timeout=timeout) as stream:
        if stream.status_code != 200:
            raise AssertionError(f"{stream.status_code}: {stream.read()[:500]}")
        for line in stream.iter_lines():
            if not line.startswith("data: "):
                continue
            if line == "data: [DONE]":
                done = True
                continue
            event = json.loads(line[6:])
            if "error" in event:
                raise AssertionError(f"the stream broke: {event['error']}")
            on_event()
            if event.get("usage"):
                result["usage"] = event["usage"]["completion_tokens"]
            for choice in event["choices"]:
                index = choice["index"]
                text = choice["text"] if "text" in choice else choice["delta"].get("content", "")
                result["text"][index] = result["text"].get(index, "") + text
                if choice.get("logprobs"):
                    result["logprobs"].setdefault(index, []).extend(choice["logprobs"]["token_logprobs"])
                if choice.get("finish_reason"):
                    assert index not in result["finish"], "a choice ended twice"
                    result["finish"][index] = choice["finish_reason"]
    assert done, "the stream ended without [DONE]"
    return result


def answers(url: str, bodies: list[dict]) -> list[dict]:
    """All answers, asked for at once."""
    found: list = [None] * len(bodies)

    def ask(index: int) -> None:
        try:
            found[index] = answer(url, bodies[index])
        except Exception as error:
            found[index] = error

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(len(bodies))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in found:
        if isinstance(one, Exception):
            raise one
    return found


class Load:
    """Streams that are asked for again and again until told to stop; each answer is compared with the known one."""

    def __init__(self, url: str, bodies: list[dict], expected: list[dict]):
        self.url, self.bodies, self.expected = url, bodies, expected
        self.events = 0
        self.completed = 0
        self.failures: list[str] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(index,), daemon=True)
                         for index in range(len(bodies))]
        for thread in self._threads:
            thread.start()

    def _tick(self) -> None:
        with self._lock:
            self.events += 1

    def _run(self, index: int) -> None:
        while not self._stop.is_set():
            try:
                found = answer(self.url, self.bodies[index], self._tick)
                problem = None if found == self.expected[index] else f"differs: {found} from {self.expected[index]}"
            except Exception as error:
                problem = f"{type(error).__name__}: {error}"
            with self._lock:
                self.completed += 1
                if problem:
                    self.failures.append(f"request {index}: {problem[:2000]}")

    def finish(self, seconds: float = 240) -> None:
        """Lets the streams that run end, and checks that nothing failed."""
        self._stop.set()
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.1, deadline - time.monotonic()))
        assert not any(thread.is_alive() for thread in self._threads), "streams did not end"
        assert not self.failures, "\n".join(self.failures[:5])


def workers(server) -> list[dict]:
    """The workers of all models."""
    return [worker for model in server.client.get("/admin/workers").json()["models"] for worker in model["workers"]]


def ready(server) -> list[int]:
    """The processes of the workers that may get requests."""
    return [worker["pid"] for worker in workers(server) if worker["state"] == "ready"]


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_for(condition, seconds: float = 60, what: str = "it"):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.02)
    return found
