#!/usr/bin/env python3
"""What the gateway costs: `make gateway-bench` (nginx as the upstream that answers at once, wrk as the client).

The gateway runs on one core, upstream and client on another. Throughput: as many requests as wrk gets through, by
second of the gateway's processor time. Latency added: with as many connections as make about half of that throughput,
with the gateway and without, in turns. Memory: at the start, and every two seconds up to 100,000 requests.
"""
import argparse
import json
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from load import pinned, processor_seconds, resident, wrk

ROOT = Path(__file__).resolve().parent.parent
ANSWER = json.dumps({
    "id": "cmpl-1", "object": "chat.completion", "created": 1, "model": "mock", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 12, "completion_tokens": 2, "total_tokens": 14}})
BODY = json.dumps({"model": "mock", "messages": [{"role": "user", "content": "Is this request short? " * 4}],
                   "max_tokens": 8})
PATH = "/v1/chat/completions"


def free_port() -> int:
    import socket
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start_upstream(folder: Path, core: int) -> tuple[subprocess.Popen, int]:
    port = free_port()
    conf = folder / "nginx.conf"
    conf.write_text(f"""
        daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr crit; user root;
        events {{ worker_connections 4096; }}
        http {{
            access_log off; keepalive_requests 1000000000; keepalive_timeout 600;
            client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
            uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
            server {{
                listen 127.0.0.1:{port} backlog=4096;
                default_type application/json;
                location / {{ return 200 '{ANSWER}'; }}
            }}
        }}""")
    process = subprocess.Popen(pinned(core, "nginx", "-c", conf, "-p", folder))
    return process, port


def start_gateway(folder: Path, core: int, upstream: int, binary: Path) -> tuple[subprocess.Popen, str]:
    conf = folder / "gateway.yaml"
    conf.write_text(f"upstreams:\n  - name: mock\n    serves: [mock]\n    upstreams:\n      - url: "
                    f"http://127.0.0.1:{upstream}\n        probe: {{enabled: false}}\n")
    out = folder / "gateway.out"
    process = subprocess.Popen(
        pinned(core, binary, "gateway", "--config", conf, "--port", "0", "--log-level", "warning"),
        stdout=out.open("wb"), stderr=subprocess.DEVNULL)
    for _ in range(500):
        if found := re.search(r"(http://\S+)", out.read_text()):
            return process, found.group(1)
        if process.poll() is not None:
            break
        time.sleep(0.02)
    process.kill()
    sys.exit(f"the gateway did not start: {out.read_text()}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=Path, default=ROOT / ".build/release/martinet")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--gateway-core", type=int, default=0)
    parser.add_argument("--client-core", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        upstream, port = start_upstream(folder, options.client_core)
        direct = f"http://127.0.0.1:{port}"
        gateway, url = start_gateway(folder, options.gateway_core, port, options.binary)
        try:
            urllib.request.urlopen(urllib.request.Request(
                url + PATH, BODY.encode(), {"content-type": "application/json"})).read()
            wrk(folder, options.client_core, url + PATH, BODY, 2, options.connections)
            rates, by_core = [], []
            for _ in range(options.turns):
                before = processor_seconds(gateway.pid)
                found = wrk(folder, options.client_core, url + PATH, BODY, options.seconds, options.connections)
                rates.append(found["rate"])
                by_core.append(found["total"] / (processor_seconds(gateway.pid) - before))
            half = statistics.median(rates) / 2
            tried = {count: wrk(folder, options.client_core, url + PATH, BODY, 2, count)["rate"] for count in (1, 2, 3, 4, 6, 8)}
            few = min(tried, key=lambda count: abs(tried[count] - half))
            at_half = []
            for _ in range(options.turns):
                with_gateway = wrk(folder, options.client_core, url + PATH, BODY, options.seconds, few)
                without = wrk(folder, options.client_core, direct + PATH, BODY, options.seconds, few)
                at_half.append((with_gateway["rate"], with_gateway["p50"] - without["p50"],
                                with_gateway["p99"] - without["p99"]))
            memory, sent = [resident(gateway.pid)], 0
            while sent < options.requests:
                sent += wrk(folder, options.client_core, url + PATH, BODY, 2, options.connections)["total"]
                memory.append(resident(gateway.pid))
            figures = {
                "requests_per_second": round(statistics.median(rates)),
                "requests_per_core_second": round(statistics.median(by_core)),
                "half_load": round(statistics.median(one[0] for one in at_half)),
                "half_load_connections": few,
                "added_p50_ms": round(statistics.median(one[1] for one in at_half), 3),
                "added_p99_ms": round(statistics.median(one[2] for one in at_half), 3),
                "memory_mib": [round(one, 1) for one in memory],
                "requests_for_memory": sent,
            }
        finally:
            gateway.send_signal(signal.SIGTERM)
            upstream.terminate()
            gateway.wait(30)
            upstream.wait(10)
    print(json.dumps(figures, indent=1))
    if options.json:
        options.json.write_text(json.dumps(figures))


main()
