"""Starts the servers that are compared, one at a time, and watches their start and their memory."""
import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def processes_below(root):
    """The process and its descendants."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as file:
                    parents[int(entry)] = int(file.read().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found = {root}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


class RunningServer:
    """A server process, its address, and how long it took until it answered.

    Ready means that an answer of one token came: a port that only listens serves nobody.
    """

    def __init__(self, command, port, model, log, environment=None, seconds=300):
        self.url = f"http://127.0.0.1:{port}"
        self.model = model
        begin = time.perf_counter()
        with open(log, "wb") as output:
            self.process = subprocess.Popen(
                [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env=environment)
        try:
            while not self._answers():
                if self.process.poll() is not None or time.perf_counter() - begin > seconds:
                    raise SystemExit(f"{command[0]} did not become ready; see {log}")
                time.sleep(0.01)
        except BaseException:
            self.process.kill()
            raise
        self.start_to_ready = time.perf_counter() - begin

    def _answers(self):
        body = json.dumps({"model": self.model, "prompt": "Hello", "max_tokens": 1}).encode()
        request = urllib.request.Request(
            self.url + "/v1/completions", body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def peak_memory(self):
        """The sum over its processes of the most memory that each held, in bytes."""
        total = 0
        for process in processes_below(self.process.pid):
            try:
                with open(f"/proc/{process}/status") as status:
                    total += next((int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM")), 0)
            except OSError:
                continue
        return total

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(30)


def martinet(binary, model, threads, log):
    port = free_port()
    return RunningServer(
        [binary, "serve", model, "--port", port, "--threads", threads, "--served-model-name", "compared"], port,
        "compared", log)


def llama(llama, model, threads, log):
    """llama-server with a slot and 512 tokens of context for each of 16 clients."""
    port = free_port()
    return RunningServer(
        [llama.server, "--model", model, "--port", port, "--host", "127.0.0.1", "--threads", threads, "--threads-batch",
         threads, "--parallel", 16, "--ctx-size", 16 * 512, "--alias", "compared"], port, "compared", log)


def vllm(vllm, model, threads, log):
    port = free_port()
    return RunningServer(
        [vllm.python, "-m", "vllm.entrypoints.openai.api_server", "--model", vllm.model, "--port", port, "--host",
         "127.0.0.1", "--served-model-name", "compared", "--dtype", "bfloat16", "--max-model-len", 2048], port,
        "compared", log,
        environment={**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"}, seconds=900)
