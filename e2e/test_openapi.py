"""The API's document is true of the server: schemathesis makes requests of it, valid and not, and checks the answers.

MARTINET_FUZZ_EXAMPLES asks for more examples of each operation, for a longer run.
"""
import json
import os
import subprocess
import sys
import threading
import xml.etree.ElementTree
from pathlib import Path

import pytest

from conftest import Server

EXAMPLES = int(os.environ.get("MARTINET_FUZZ_EXAMPLES", "2"))
SEED = "20261124"
# Left out: positive_data_acceptance, since decoders know more than a schema can say, such as which members go together
# and which tokens a vocabulary has; missing_required_header, ignored_auth, use_after_free, ensure_resource_availability
# and object_level_authorization, which look for what the document does not have.
CHECKS = ["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
          "response_schema_conformance", "negative_data_rejection", "unsupported_method", "allow_header_conformance"]
# What replaces the workers of the server under test does just that, again and again.
LEFT_OUT = ["/admin/workers/replace", "/admin/reload"]
CONFIGURATION = """
[[operations]]
include-tag = "Scores"
# Refused with 501 as long as no model can score.
checks.not_a_server_error.expected-statuses = ["2xx", "4xx", "501"]

[[operations]]
include-path = "/tokenize"
# Beside a prompt, what makes messages a prompt is not looked at.
checks.negative_data_rejection.expected-statuses = ["2xx", "4xx"]
"""


def resident_bytes(process: int) -> int:
    """Memory of a process and of those that it started."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    status = Path(f"/proc/{process}/status").read_text()
    own = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) * 1024
    return own + sum(resident_bytes(int(child)) for child in children)


class Neighbour:
    """Streams, one after the other, each of which must say what the first one said."""

    REQUEST = {"prompt": "Once upon a time", "max_tokens": 30, "ignore_eos": True, "temperature": 0, "stream": True}

    def __init__(self, server: Server):
        self.server = server
        self.expected = self.text()
        self.count = 0
        self.problems = []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def text(self) -> str:
        with self.server.client.stream("POST", "/generate", json=self.REQUEST) as answer:
            lines = [line for line in answer.iter_lines() if line.startswith("data: ")]
        assert lines[-1] == "data: [DONE]", lines[-1]
        return "".join(output["text"] for line in lines[:-1] for output in json.loads(line[6:])["outputs"])

    def run(self):
        while not self.over.is_set():
            try:
                text = self.text()
                if text != self.expected:
                    self.problems.append(text)
            except Exception as error:  # noqa: BLE001: whatever it is, it must not be
                self.problems.append(repr(error))
            self.count += 1

    def end(self):
        self.over.set()
        self.thread.join(120)
        assert not self.thread.is_alive() and self.count > 0
        assert self.problems == []


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzzed")
    server = Server(folder / "log", "--max-model-len", "48", "--data-dir", str(folder / "data"),
                    # The cache takes memory as it fills; that is no growth.
                    "--kv-cache-memory", "32MiB")
    yield server
    assert server.process.poll() is None, "the server died during the tests"
    assert server.stop() == 0


@pytest.fixture
def neighbour(fuzzed):
    neighbour = Neighbour(fuzzed)
    yield neighbour
    neighbour.end()


def schemathesis(server: Server, folder: Path, *flags: str) -> str:
    """Runs it and gives what it found; empty where that is nothing."""
    configuration = folder / "schemathesis.toml"
    configuration.write_text(CONFIGURATION)
    report = folder / "report.xml"
    left_out = [flag for path in LEFT_OUT for flag in ("--exclude-path", path)]
    run = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "--config-file", configuration, "run", server.url + "/openapi.json",
         "--checks", ",".join(CHECKS), "--max-examples", str(EXAMPLES), "--seed", SEED, "--generation-database", "none",
         "--phases", "examples,coverage,fuzzing", "--suppress-health-check", "all", "--request-timeout", "30",
         "--continue-on-failure", "--no-shrink", "--no-color", "--warnings", "off", "--report", "junit", "--report-junit-path", report,
         *left_out, *flags],
        cwd=folder, capture_output=True, text=True, timeout=60 + 30 * EXAMPLES)
    assert report.exists(), run.stdout[-4000:] + run.stderr[-4000:]
    cases = list(xml.etree.ElementTree.parse(report).iter("testcase"))
    assert len(cases) >= 40, run.stdout[-4000:]
    found = [f"{case.get('name')}: {problem.get('message')}{problem.text or ''}"[:2000]
             for case in cases for kind in ("failure", "error") for problem in case.iter(kind)]
    if not found and run.returncode:
        found = [run.stdout[-4000:] + run.stderr[-4000:]]
    return "\n".join(found)


@pytest.mark.timeout(120 + 60 * EXAMPLES)
def test_the_document_is_true(fuzzed, neighbour, tmp_path):
    before = resident_bytes(fuzzed.process.pid)
    assert schemathesis(fuzzed, tmp_path) == ""
    grown = resident_bytes(fuzzed.process.pid) - before
    assert grown < 128 << 20, f"{grown >> 20} MiB more"
