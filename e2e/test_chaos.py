"""Workers are killed and stopped while streams run: no request may fail, and no text may differ."""
import os
import random
import signal
import time

import pytest
from fleet import Load, answers, ready, requests, wait_for, workers

STREAMS = 32
KILLS = int(os.environ.get("MARTINET_CHAOS_KILLS", "20"))


@pytest.mark.timeout(120 + 24 * KILLS)
@pytest.mark.parametrize("count", [1, 2])
def test_workers_are_killed(start, count):
    server = start("--workers", str(count), "--max-num-seqs", "32", "--resume-attempts", "100")
    bodies = requests(STREAMS, tokens=100)
    expected = answers(server.url, bodies)
    load = Load(server.url, bodies, expected)
    rng = random.Random(count)
    for kill in range(KILLS):
        # Most kills hit workers that generate, some hit one that just came up or still computes prompts again.
        if kill % 4:
            before = load.events
            wait_for(lambda: load.events > before + 64, 120, "tokens after a kill")
        time.sleep(rng.uniform(0, 0.4))
        os.kill(rng.choice(wait_for(lambda: ready(server), 60, "a worker")), signal.SIGKILL)
    load.finish()
    assert load.completed >= STREAMS
    assert server.metric("martinet_worker_losses_total", cause="killed") >= KILLS
    assert server.metric("martinet_stream_resumptions_total", outcome="resumed") > 0
    assert server.metric("martinet_stream_resumptions_total", outcome="failed") == 0
    # What workers did before they died still counts, and nothing is held for streams that ended.
    wait_for(lambda: len(ready(server)) == count, 60, "the workers")
    server.wait_idle()
    assert server.metric("vllm_requests_failed_total") == 0
    assert server.stop() == 0


@pytest.mark.timeout(120 + 24 * KILLS)
@pytest.mark.parametrize("count, stops", [(1, max(1, KILLS // 4)), (2, KILLS)])
def test_workers_are_wedged(start, count, stops):
    server = start("--workers", str(count), "--max-num-seqs", "32", "--worker-stall-timeout", "1.5",
                   "--resume-attempts", "100")
    bodies = requests(STREAMS, tokens=60, seed=2)
    expected = answers(server.url, bodies)
    load = Load(server.url, bodies, expected)
    rng = random.Random(count)
    for _ in range(stops):
        before = load.events
        wait_for(lambda: load.events > before + 64, 120, "tokens after a stop")
        time.sleep(rng.uniform(0, 0.2))
        pid = rng.choice(wait_for(lambda: ready(server), 60, "a worker"))
        os.kill(pid, signal.SIGSTOP)
        # It lives, but makes no step: it is found, taken out and replaced.
        wait_for(lambda: pid not in [worker["pid"] for worker in workers(server)], 60, "the wedged worker's end")
    load.finish()
    assert server.metric("martinet_worker_losses_total", cause="stopped") >= stops
    wait_for(lambda: len(ready(server)) == count, 60, "the workers")
    assert server.stop() == 0
