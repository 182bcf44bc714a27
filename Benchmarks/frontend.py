#!/usr/bin/env python3
"""What the server costs beside the engine: `make frontend-bench` (an engine that answers at once, wrk as the client).

The server runs on one core and the client on another. Requests by second of the server's processor time for answers of
one token, and streamed tokens by second of it for long streams over 256 connections: with an engine that never waits,
whose tokens gather and share events, and with one that steps every few milliseconds, so that each token is an event.
"""
import argparse
import json
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from load import pinned, processor_seconds, resident, wrk

ROOT = Path(__file__).resolve().parent.parent
TOKENS = 256
STEP_MILLISECONDS = 5


def body(tokens: int, stream: bool) -> str:
    return json.dumps({"model": "smollm2", "messages": [{"role": "user", "content": "Is this short?"}],
                       "max_tokens": tokens, "stream": stream})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=Path, default=ROOT / ".build/release/martinet")
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--client-core", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures = {
        **measure(options, 0, {"whole": (body(1, False), 32, 1), "streamed": (body(TOKENS, True), 256, TOKENS)}),
        **measure(options, STEP_MILLISECONDS, {"streamed_by_token": (body(TOKENS, True), 256, TOKENS)}),
    }
    print(json.dumps(figures, indent=1))
    if options.json:
        options.json.write_text(json.dumps(figures))


def measure(options, interval: float, loads: dict) -> dict:
    server = subprocess.Popen(pinned(options.server_core, options.binary, "bench", "frontend", options.model,
                                     "--step-interval", interval),
                              stdout=subprocess.PIPE, text=True)
    url = (server.stdout.readline().strip() or sys.exit("the server did not start")) + "/v1/chat/completions"
    figures = {}
    try:
        with tempfile.TemporaryDirectory() as name:
            for kind, (text, connections, tokens) in loads.items():
                wrk(Path(name), options.client_core, url, text, 2, connections)
                turns = []
                for _ in range(options.turns):
                    before = processor_seconds(server.pid)
                    found = wrk(Path(name), options.client_core, url, text, options.seconds, connections)
                    turns.append((found["rate"], found["total"] / (processor_seconds(server.pid) - before),
                                  found["p50"], found["p99"]))
                rate, by_core, p50, p99 = (statistics.median(column) for column in zip(*turns))
                figures[kind] = {
                    "connections": connections, "tokens_of_an_answer": tokens, "requests_per_second": round(rate),
                    "requests_per_core_second": round(by_core), "tokens_per_core_second": round(by_core * tokens),
                    "p50_ms": round(p50, 2), "p99_ms": round(p99, 2)}
                figures[kind]["memory_mib"] = round(resident(server.pid), 1)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)
    return figures


main()
