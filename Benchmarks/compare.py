#!/usr/bin/env python3
"""Compares Martinet with llama.cpp, and with vLLM where asked for, on this machine in one run.

    Benchmarks/compare.py [--turns 5] [--vllm]          (or: make compare)

Needs nothing but Python, cmake, g++ and a built Martinet. In each turn every contestant is measured once, one after the
other, so that whatever else the machine does meets all of them; figures are medians over the turns, and a ratio is the
median of the ratios within a turn. docs/guides/benchmarks.md says what each figure means.
"""
import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

from peers import report, servers
from peers.setup import VLLM, Llama, say

ROOT = Path(__file__).resolve().parent.parent


def options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="smollm2", help="a model in the store, a GGUF file")
    parser.add_argument("--binary", type=Path, default=ROOT / ".build/release/martinet")
    parser.add_argument("--formats", default="own,Q4_0,Q8_0,Q4_K_M", help="the file itself (own), and what to make of it")
    parser.add_argument("--http-formats", default="own,Q4_0", help="the formats that are also measured over HTTP")
    parser.add_argument("--only", choices=["engine", "http"], help="measure only the engines, or only the servers")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--requests", type=int, default=48, help="of 16 clients together; one client sends a twelfth")
    parser.add_argument("--vllm", action="store_true", help="vLLM too: installs gigabytes, and takes minutes to start")
    parser.add_argument("--priority", action="store_true", help="run before everything else on the machine (as root)")
    parser.add_argument("--work", type=Path, default=ROOT / ".build-compare", help="where peers and formats are kept")
    parser.add_argument("--llama-python", type=Path, help="a Python that has llama-cpp-python and numpy; builds none")
    parser.add_argument("--llama-server", type=Path, help="the llama-server that goes with --llama-python")
    parser.add_argument("--output", type=Path, help="where to write the JSON (compare.json in the work folder)")
    found = parser.parse_args()
    if found.turns < 1 or found.requests < 12 or found.threads < 1:
        parser.error("--turns and --threads must be at least 1, and --requests at least 12")
    if (found.llama_python is None) != (found.llama_server is None):
        parser.error("--llama-python and --llama-server go together")
    return found


def command(*parts):
    done = subprocess.run([str(part) for part in parts], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, parts))} failed: {done.stderr[-2000:]}")
    return done.stdout


def take_priority():
    """Puts this program, and all it starts, before the others on the machine.

    A nice value counts only within a session where the kernel groups processes by session, so the group gets it too.
    """
    try:
        os.setsid()
    except PermissionError:
        say("This program leads its process group: its whole session gets the priority.")
    os.setpriority(os.PRIO_PROCESS, 0, -20)
    if os.path.exists("/proc/self/autogroup"):
        Path("/proc/self/autogroup").write_text("-20")


def machine():
    model = "unknown"
    with open("/proc/cpuinfo") as file:
        model = next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), model)
    return {"cpu": model, "cores": len(os.sched_getaffinity(0)), "kernel": platform.release(),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")}


def measure_martinet(arguments, path, seed):
    found = json.loads(command(
        arguments.binary, "bench", "engine", path, "--repetitions", 1, "--streams", 16, "--no-arrivals", "--threads",
        arguments.threads, "--seed", seed, "--json"))
    return {
        "prefill_tokens_per_second": found["prefill_tokens_per_second"]["median"],
        "decode_tokens_per_second": found["decode_tokens_per_second"]["median"],
        "batch_tokens_per_second": found["batch_tokens_per_second"]["16"]["median"],
        "peak_memory_bytes": found["peak_memory_bytes"],
    }


def measure_llama(arguments, llama, path, seed):
    return json.loads(llama.call("llama_engine.py", path, "--threads", arguments.threads, "--seed", seed))


def measure_server(arguments, server, seed):
    """One client, then sixteen, each with 128 tokens in and 128 out, from the same cores."""
    figures = {"start_to_ready_seconds": server.start_to_ready}
    for name, clients, requests in [("one", 1, arguments.requests // 12), ("many", 16, arguments.requests)]:
        found = json.loads(command(
            arguments.binary, "bench", "serve", "--url", server.url, "--model", server.model, "--concurrency", clients,
            "--requests", requests, "--input-tokens", 128, "--output-tokens", 128, "--seed", seed, "--json"))
        if found["failed"]:
            raise SystemExit(f"{found['failed']} requests to {server.url} failed: {found['failures']}")
        figures.update({f"{name}_{key}": found[key] for key in [
            "output_throughput", "median_ttft_ms", "median_itl_ms", "p99_itl_ms", "median_e2el_ms",
            "total_input_tokens", "total_output_tokens"]})
        seed += 1
    figures["peak_memory_bytes"] = server.peak_memory()
    return figures


def take_turns(name, count, contestants):
    """Measures every contestant once a turn; every second turn goes through them backwards."""
    turns = []
    for turn in range(count):
        figures = {}
        for title, measure in list(contestants.items())[:: 1 if turn % 2 == 0 else -1]:
            begin = time.monotonic()
            try:
                figures[title] = measure(turn)
            except SystemExit as failure:
                # A peer that does not run here must not take the others' figures with it.
                say(f"{title} is left out of this turn: {failure}")
                continue
            say(f"{name}, turn {turn + 1} of {count}: {title} ({time.monotonic() - begin:.0f} s)")
        turns.append(figures)
    return turns


def main():
    arguments = options()
    if arguments.priority:
        take_priority()
    arguments.work.mkdir(parents=True, exist_ok=True)
    source = Path(arguments.model)
    if not source.is_file():
        command(arguments.binary, "pull", arguments.model)
        stored = json.loads(command(arguments.binary, "models", "list", "--json"))
        entry = next(row for row in stored if row["name"] == arguments.model)
        source = Path(entry["path"]) / entry["file"] if Path(entry["path"]).is_dir() else Path(entry["path"])
    if arguments.llama_python:
        llama = Llama(arguments.llama_python, arguments.llama_server)
    else:
        llama = Llama.build(arguments.work.resolve())
    formats = arguments.formats.split(",")
    paths = llama.formats(source, sorted({*formats, *arguments.http_formats.split(",")}), arguments.work)
    vllm = VLLM.install(arguments.work.resolve(), source) if arguments.vllm else None
    found = {
        "machine": machine(), "model": source.name, "threads": arguments.threads, "turns": arguments.turns,
        "load_average_before": os.getloadavg(),
        "versions": {"martinet": command(arguments.binary, "--version").strip(), "llama.cpp": llama.version(),
                     **({"vllm": vllm.version()} if vllm else {})},
    }

    def title(who, name):
        return f"{who}, {source.stem.rpartition('.')[2] if name == 'own' else name}"

    sections = []
    if arguments.only != "http":
        contestants = {}
        for name in formats:
            path = paths[name]
            contestants[title("Martinet", name)] = lambda seed, path=path: measure_martinet(arguments, path, seed)
            contestants[title("llama.cpp", name)] = lambda seed, path=path: measure_llama(arguments, llama, path, seed)
        pairs = [(title("Martinet", name), title("llama.cpp", name)) for name in formats]
        if "own" in formats:
            pairs += [(pairs[0][0], title("llama.cpp", name)) for name in formats if name != "own"]
        sections.append(("engine", report.ENGINE, contestants, pairs))
    if arguments.only != "engine":
        contestants = {}
        log = arguments.work / "server.log"

        def serve(start, *what):
            def measure(turn):
                server = start(*what, arguments.threads, log)
                try:
                    return measure_server(arguments, server, turn * 100)
                finally:
                    server.stop()
            return measure

        http = arguments.http_formats.split(",")
        for name in http:
            contestants[title("Martinet", name)] = serve(servers.martinet, arguments.binary, paths[name])
            contestants[title("llama-server", name)] = serve(
                lambda path, threads, log: servers.llama(llama, path, threads, log), paths[name])
        pairs = [(title("Martinet", name), title("llama-server", name)) for name in http]
        pairs += [(title("Martinet", http[0]), title("llama-server", name)) for name in http[1:]]
        if vllm:
            contestants["vLLM, bfloat16"] = serve(
                lambda path, threads, log: servers.vllm(vllm, path, threads, log), vllm.model)
            pairs.append((title("Martinet", http[0]), "vLLM, bfloat16"))
        sections.append(("HTTP, 128 tokens in and 128 out", report.HTTP, contestants, pairs))

    print(f"{found['machine']['cpu']}, {found['machine']['cores']} cores; {arguments.threads} threads; "
          f"{'; '.join(found['versions'].values())}; median (least–greatest) of {arguments.turns} turns")
    for name, figures, contestants, pairs in sections:
        turns = take_turns(name, arguments.turns, contestants)
        quotients = report.ratios(turns, pairs, figures)
        found[name.partition(",")[0].lower()] = {"turns": turns, "ratios": quotients}
        print(f"\n{name}\n\n{report.table(turns, contestants, figures)}\n\n{report.ratio_table(quotients, figures)}",
              flush=True)
    found["load_average_after"] = os.getloadavg()
    output = arguments.output or arguments.work / "compare.json"
    output.write_text(json.dumps(found, indent=2) + "\n")
    say(f"All measurements are in {output}")


if __name__ == "__main__":
    sys.exit(main())
