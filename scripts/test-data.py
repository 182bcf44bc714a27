#!/usr/bin/env python3
"""Fetches what tests compare with but the repository does not carry: real vocabularies and chat templates.

They come from the source archive of the PyPI package llama-cpp-python 0.3.9 (MIT), whose `models` folder holds
vocabulary-only GGUF files and the chat templates of many model families. Nothing of it is built or run.

Usage: scripts/test-data.py [FOLDER]     (default: $MARTINET_TEST_DATA, else .testdata)
"""
import json
import os
import ssl
import sys
import tarfile
import tempfile
import urllib.request
from pathlib import Path

PACKAGE, ARCHIVE = "llama-cpp-python", "llama_cpp_python-0.3.9.tar.gz"
SHA256 = "a3a985f558385e2f5de5b663f4e9b0817506d6af98122450142cd98e79216370"


def index_url() -> str:
    """The package index that pip uses on this machine."""
    if url := os.environ.get("PIP_INDEX_URL"):
        return url.rstrip("/")
    from pip._internal.models.index import PyPI

    return PyPI.simple_url


def main() -> None:
    root = Path(__file__).resolve().parent.parent
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("MARTINET_TEST_DATA", root / ".testdata"))
    done = folder / ".complete"
    if done.exists() and done.read_text() == SHA256:
        return
    folder.mkdir(parents=True, exist_ok=True)
    context = ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE"))
    request = urllib.request.Request(
        f"{index_url()}/{PACKAGE}/", headers={"Accept": "application/vnd.pypi.simple.v1+json"})
    with urllib.request.urlopen(request, context=context, timeout=60) as answer:
        files = json.load(answer)["files"]
    url = next(f["url"] for f in files if f["filename"] == ARCHIVE)
    print(f"fetching {ARCHIVE}", flush=True)
    with tempfile.TemporaryFile() as archive:
        import hashlib

        digest = hashlib.sha256()
        with urllib.request.urlopen(url, context=context, timeout=60) as answer:
            while chunk := answer.read(1 << 20):
                digest.update(chunk)
                archive.write(chunk)
        if digest.hexdigest() != SHA256:
            sys.exit(f"{ARCHIVE} has SHA-256 {digest.hexdigest()}, expected {SHA256}")
        archive.seek(0)
        with tarfile.open(fileobj=archive) as tar:
            for member in tar:
                path = Path(member.name)
                if not member.isfile() or "models" not in path.parts:
                    continue
                kind = {".jinja": "templates", ".gguf": "vocabularies"}.get(path.suffix)
                if kind:
                    target = folder / kind / path.name
                    target.parent.mkdir(exist_ok=True)
                    target.write_bytes(tar.extractfile(member).read())
    done.write_text(SHA256)


if __name__ == "__main__":
    main()
