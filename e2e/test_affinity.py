"""Prefix affinity over real workers: chats find what was computed for them, and nobody becomes a hot spot."""
import os
import random
import threading

from fleet import WORDS, ready, wait_for

CHATS, TURNS = 8, 5


def hit_rate(server) -> float:
    """The share of prompt tokens that was found, over chats of many turns at once."""
    def chat(number: int) -> None:
        rng = random.Random(number)
        messages = [{"role": "system", "content": "You are a guide to the " + " ".join(rng.choices(WORDS, k=60)) + "."}]
        try:
            for _ in range(TURNS):
                barrier.wait(300)
                messages.append({"role": "user", "content": "Tell me of the " + " ".join(rng.choices(WORDS, k=20)) + "."})
                found = server.client.post("/v1/chat/completions", json={
                    "messages": messages, "max_tokens": 24, "temperature": 0, "ignore_eos": True})
                assert found.status_code == 200, found.text
                messages.append({"role": "assistant", "content": found.json()["choices"][0]["message"]["content"]})
        except BaseException as error:
            failures.append(error)
            barrier.abort()

    failures: list[BaseException] = []
    # Turn by turn, so that the order in which turns of different chats come is the same for any number of workers.
    barrier = threading.Barrier(CHATS)
    threads = [threading.Thread(target=chat, args=(number,)) for number in range(CHATS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[0]
    server.wait_idle()
    return server.metric("vllm:prefix_cache_hits_total") / server.metric("vllm:prefix_cache_queries_total")


def test_two_workers_hit_as_often_as_one(start):
    rates = {}
    for count in (1, 2):
        server = start("--workers", str(count), "--routing-policy", "prefix-affinity", "--threads", "1")
        wait_for(lambda: len(ready(server)) == count, 60, "the workers")
        rates[count] = hit_rate(server)
        assert server.stop() == 0
    print(rates)
    assert rates[1] > 0.5, rates
    assert rates[2] >= 0.95 * rates[1], rates


def processor_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_prefix_that_most_requests_share_makes_no_hot_spot(start):
    server = start("--workers", "2", "--routing-policy", "prefix-affinity", "--threads", "1")
    pids = wait_for(lambda: len(found := ready(server)) == 2 and found, 60, "the workers")
    before = {pid: processor_seconds(pid) for pid in pids}
    rng = random.Random(5)
    shared = "The rules of the house: " + " ".join(rng.choices(WORDS, k=300)) + "."
    prompts = [(shared if rng.random() < 0.9 else " ".join(rng.choices(WORDS, k=300)) + ".")
               + " Now tell of the " + " ".join(rng.choices(WORDS, k=12)) for _ in range(80)]
    failures, lock = [], threading.Lock()

    def ask() -> None:
        while True:
            with lock:
                if not prompts:
                    return
                prompt = prompts.pop()
            found = server.client.post("/v1/completions", json={
                "prompt": prompt, "max_tokens": 32, "temperature": 0, "ignore_eos": True})
            if found.status_code != 200:
                failures.append(found.text)

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[:3]
    # What a worker computed is what its process took of the processor: each has one thread, which does not spin.
    work = {pid: processor_seconds(pid) - before[pid] for pid in pids}
    print(work)
    mean = sum(work.values()) / 2
    assert mean > 0.2, work
    assert max(work.values()) <= 1.5 * mean, work
    # The prefix was computed about once at each.
    assert server.metric("vllm:prefix_cache_hits_total") > 0.5 * server.metric("vllm:prefix_cache_queries_total")
    assert server.stop() == 0
