"""docs/guides/clients.md and README.md: what they tell to type works."""
import re
import subprocess
import sys

import pytest

from conftest import ROOT, Server

BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```", re.M | re.S)
PAGES = {name: BLOCK.findall((ROOT / name).read_text()) for name in ("README.md", "docs/guides/clients.md")}
# Blocks for a server as it is: no other commands, none that ends a worker.
BLOCKS = [
    (name, language, code) for name, blocks in PAGES.items() for language, code in blocks
    if "localhost:8000" in code and "openssl" not in code and "kill" not in code and "lighthouse" not in code]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guide")
    server = Server(folder / "log", "--data-dir", str(folder / "data"))
    yield server
    assert server.stop() == 0


@pytest.mark.parametrize("name,language,code", BLOCKS, ids=lambda text: text.split("\n")[0][:60])
def test_blocks(name, language, code, server, tmp_path):
    code = code.replace("http://localhost:8000", server.url)
    if language == "sh":
        command = ["bash", "-euo", "pipefail", "-c", code.replace("curl ", "curl --fail-with-body ")]
    else:
        command = [sys.executable, "-c", code]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.strip()


def test_there_are_blocks():
    assert len(BLOCKS) >= 8
