"""Measures llama.cpp without any server, through the C interface that llama-cpp-python wraps.

Run by compare.py with the Python of the peers' environment, which holds `llama-cpp-python` and `numpy`:

    python llama_engine.py MODEL.gguf --threads 2 --repetitions 1

What is timed is what `martinet bench engine` times: `prefill` is one prompt to its first token; `decode` is the rate
between the first and the last token of one stream; `batch` is all tokens of all streams from submission to the last.
Prompts are random tokens, the choice of tokens is greedy, weights are repacked and flash attention is chosen as
llama.cpp does by default. Prints one JSON object.
"""
import argparse
import ctypes
import json
import os
import statistics
import sys
import time

import llama_cpp
import numpy as np


@llama_cpp.llama_log_callback
def quiet(level, text, user_data):
    """llama.cpp is chatty on standard error."""


def take_logs():
    # ggml and llama each have a logger, and the second setter covers both.
    llama_cpp.llama_log_set(quiet, ctypes.c_void_p(0))


class Context:
    """One context with its batch; `sequences` run side by side."""

    def __init__(self, model, vocabulary, sequences, length, threads):
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx = sequences * ((length + 255) // 256 * 256)
        parameters.n_seq_max = sequences
        parameters.n_threads = parameters.n_threads_batch = threads
        self.context = llama_cpp.llama_init_from_model(model, parameters)
        if not self.context:
            sys.exit("llama.cpp made no context")
        self.vocabulary = vocabulary
        self.capacity = max(parameters.n_batch, 1)
        self.batch = llama_cpp.llama_batch_init(self.capacity, 0, 1)

    def clear(self):
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)

    def step(self, entries):
        """Runs (token, position, sequence, wants logits) and returns the likeliest token of each that wants."""
        if len(entries) > self.capacity:
            sys.exit(f"{len(entries)} tokens do not fit a batch of {self.capacity}")
        batch = self.batch
        batch.n_tokens = len(entries)
        for index, (token, position, sequence, wants) in enumerate(entries):
            batch.token[index] = token
            batch.pos[index] = position
            batch.n_seq_id[index] = 1
            batch.seq_id[index][0] = sequence
            batch.logits[index] = wants
        if llama_cpp.llama_decode(self.context, batch) != 0:
            sys.exit("llama_decode failed")
        tokens = []
        for index, entry in enumerate(entries):
            if entry[3]:
                logits = llama_cpp.llama_get_logits_ith(self.context, index)
                tokens.append(int(np.ctypeslib.as_array(logits, (self.vocabulary,)).argmax()))
        return tokens

    def close(self):
        llama_cpp.llama_batch_free(self.batch)
        llama_cpp.llama_free(self.context)


def generate(context, prompts, output):
    """Seconds from the start to the first and to the last token of `prompts` decoded together."""
    context.clear()
    begin = time.perf_counter()
    entries = [
        (token, position, sequence, position == len(prompt) - 1)
        for sequence, prompt in enumerate(prompts) for position, token in enumerate(prompt)]
    tokens = context.step(entries)
    first = time.perf_counter() - begin
    for step in range(output - 1):
        tokens = context.step(
            [(token, len(prompts[sequence]) + step, sequence, True) for sequence, token in enumerate(tokens)])
    return first, time.perf_counter() - begin


def peak_memory():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--prefill", type=int, default=512)
    parser.add_argument("--decode", type=int, default=128)
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--repetitions", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    take_logs()
    llama_cpp.llama_backend_init()
    begin = time.perf_counter()
    model = llama_cpp.llama_model_load_from_file(
        options.model.encode(), llama_cpp.llama_model_default_params())
    if not model:
        sys.exit(f"llama.cpp cannot load {options.model}")
    vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
    random = np.random.default_rng(options.seed)

    def prompt(length):
        return [int(token) for token in random.integers(0, vocabulary, length)]

    single = Context(model, vocabulary, 1, max(options.prefill + 1, 128 + options.decode), options.threads)
    generate(single, [prompt(1)], 1)
    figures = {"start_to_ready_seconds": time.perf_counter() - begin}
    rates = {"prefill": [], "decode": [], "batch": []}
    generate(single, [prompt(64)], 16)
    for _ in range(options.repetitions):
        first, _ = generate(single, [prompt(options.prefill)], 1)
        rates["prefill"].append(options.prefill / first)
        first, last = generate(single, [prompt(128)], options.decode)
        rates["decode"].append((options.decode - 1) / (last - first))
    single.close()
    many = Context(model, vocabulary, options.streams, 16 + options.decode, options.threads)
    generate(many, [prompt(16) for _ in range(options.streams)], 4)
    for _ in range(options.repetitions):
        _, last = generate(many, [prompt(16) for _ in range(options.streams)], options.decode)
        rates["batch"].append(options.streams * options.decode / last)
    many.close()
    figures.update({f"{name}_tokens_per_second": statistics.median(values) for name, values in rates.items()})
    figures["peak_memory_bytes"] = peak_memory()
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
