#!/usr/bin/env python3
"""What guessing ahead gains: two servers, one with and one without it, asked in turns. Needs Python 3.9 alone.

    scripts/speculation.py [--martinet .build/release/martinet] [--rounds 5] [--model smollm2] [--threads 2]
                           [--case '16 streams']

Prints output tokens per second of each, the medians of the rounds' ratios by the clock and by processor time (the one
to believe where other programs run), guessed tokens a round and how many of them held. Checks that answers are equal.
"""

import argparse
import concurrent.futures
import json
import os
import re
import statistics
import subprocess
import time
import urllib.request

TEXT = (
    "The old mill stands at the end of the valley, where the river bends twice before it meets the road. In spring "
    "the meadows around it are flooded, and the herons come down from the hills to fish in the shallow water. The "
    "miller's family left forty years ago; since then a potter has worked there, whose kiln can be smelled for miles."
)
CODE = """def area(shape):
    if shape.kind == 'circle':
        return 3.14159 * shape.radius * shape.radius
    if shape.kind == 'square':
        return shape.side * shape.side
    if shape.kind == 'rectangle':
        return shape.width * shape.height
    raise ValueError('unknown shape ' + shape.kind)
"""
COPY = [
    "Repeat the following text exactly, word for word:\n\n" + TEXT,
    "Correct any mistakes in the following text and return the whole text:\n\n" + TEXT,
    "Repeat this Python code exactly:\n\n" + CODE,
    "Change 'forty' to 'fifty' in this text and return all of it:\n\n" + TEXT,
]
CHAT = [
    "Tell me a long story about a dragon.",
    "Who wrote Hamlet, and what is it about?",
    "Give me a recipe for pancakes.",
    "Why is the sky blue?",
    "Explain how a bicycle stays upright.",
    "Write an email to my landlord about a broken heater.",
    "What are the causes of the First World War?",
    "What should I see on a visit to Lisbon?",
]


class Server:
    def __init__(self, arguments, *flags):
        command = [arguments.martinet, "serve", arguments.model, "--port", "0", *flags]
        if arguments.threads:
            command += ["--threads", str(arguments.threads)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in self.process.stdout:
            if match := re.search(r"(http://\S+)", line):
                self.url = match.group(1)
                return
        raise SystemExit(f"{' '.join(command)} did not start")

    def ask(self, question, temperature):
        body = {
            "model": "any", "messages": [{"role": "user", "content": question}], "max_tokens": 200, "seed": 1,
            "temperature": temperature,
        }
        with urllib.request.urlopen(self.url + "/v1/models") as answer:
            body["model"] = json.load(answer)["data"][0]["id"]
        request = urllib.request.Request(
            self.url + "/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            result = json.load(answer)
        return result["choices"][0]["message"]["content"], result["usage"]["completion_tokens"]

    def run(self, questions, temperature, streams):
        """The answers, and output tokens per second of the clock and of processor time."""
        begin, used = time.monotonic(), self.processor_seconds()
        with concurrent.futures.ThreadPoolExecutor(streams) as pool:
            answers = list(pool.map(lambda question: self.ask(question, temperature), questions))
        tokens = sum(count for _, count in answers)
        rates = tokens / (time.monotonic() - begin), tokens / (self.processor_seconds() - used)
        return [text for text, _ in answers], rates

    def processor_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def counters(self):
        with urllib.request.urlopen(self.url + "/metrics") as answer:
            text = answer.read().decode()
        names = ["num_draft_tokens", "num_accepted_tokens"]
        return [int(float(re.search(rf"^vllm:spec_decode_{name}_total\S* (\S+)", text, re.M).group(1))) for name in names]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--martinet", default=".build/release/martinet")
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--case", default="", help="measure those with this in their name alone")
    arguments = parser.parse_args()
    servers = [Server(arguments, "--speculation", method) for method in ("off", "ngram")]
    try:
        cases = [
            ("copy and edit, 1 stream, temperature 0", COPY, 0, 1),
            ("copy and edit, 1 stream, temperature 0.7", COPY, 0.7, 1),
            ("chat, 1 stream, temperature 0", CHAT, 0, 1),
            ("chat, 1 stream, temperature 0.7", CHAT, 0.7, 1),
            ("chat, 16 streams, temperature 0", CHAT * 2, 0, 16),
            ("chat, 16 streams, temperature 0.7", CHAT * 2, 0.7, 16),
            ("copy and edit, 16 streams, temperature 0", COPY * 4, 0, 16),
        ]
        print(f"{'':42}{'off':>7}{'ngram':>7}{'ratio':>7}{'by CPU':>8}{'guessed':>9}{'held':>6}")
        for name, questions, temperature, streams in cases:
            if arguments.case not in name:
                continue
            for server in servers:
                server.run(questions, temperature, streams)
            before = servers[1].counters()
            rates = []
            for index in range(arguments.rounds):
                # Each goes first in turns.
                order = servers if index % 2 == 0 else servers[::-1]
                results = {server: server.run(questions, temperature, streams) for server in order}
                (off, off_rate), (ngram, ngram_rate) = (results[server] for server in servers)
                assert off == ngram, f"answers differ: {name}"
                rates.append((off_rate, ngram_rate))
            drafted, accepted = (now - then for now, then in zip(servers[1].counters(), before))
            off, ngram = (statistics.median(rate[0] for rate in server) for server in zip(*rates))
            ratio, by_processor = (statistics.median(pair[1][i] / pair[0][i] for pair in rates) for i in (0, 1))
            held = f"{accepted / drafted:.0%}" if drafted else "-"
            guessed = drafted // arguments.rounds
            print(f"{name:42}{off:7.0f}{ngram:7.0f}{ratio:7.2f}{by_processor:8.2f}{guessed:9}{held:>6}", flush=True)
    finally:
        for server in servers:
            server.process.terminate()


if __name__ == "__main__":
    main()
