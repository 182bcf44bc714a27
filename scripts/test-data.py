#!/usr/bin/env python3
"""Fetches what tests compare with but the repository does not carry.

- Real vocabularies and chat templates, from the source archive of the PyPI package llama-cpp-python 0.3.9 (MIT), whose
  `models` folder holds vocabulary-only GGUF files and the chat templates of many model families.
- The JSON-Schema-Test-Suite (MIT), from the source archive of the PyPI package jsonschema 4.26.0. Each case's value is
  written in several spellings, since a grammar sees texts and not values.

Nothing of either is built or run.

Usage: scripts/test-data.py [FOLDER]     (default: $MARTINET_TEST_DATA, else .testdata)
"""
import hashlib
import json
import os
import ssl
import sys
import tarfile
import tempfile
import urllib.request
from decimal import Decimal
from pathlib import Path


def save_model_file(folder: Path, path: Path, content: bytes) -> None:
    kind = {".jinja": "templates", ".gguf": "vocabularies"}.get(path.suffix)
    if kind and "models" in path.parts:
        target = folder / kind / path.name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(content)


def spelling(value, *, spaces=False, backwards=False, escapes=False, plain=True) -> str:
    """A JSON text of a value: compact or with lines and spaces, members in order or backwards, characters escaped or not."""

    def string(text: str) -> str:
        if not escapes:
            return json.dumps(text, ensure_ascii=False)
        units = text.encode("utf-16-be", "surrogatepass")
        pairs = [units[i : i + 2].hex() for i in range(0, len(units), 2)]
        return '"' + "".join(f"\\u{pair.upper() if i % 2 else pair}" for i, pair in enumerate(pairs)) + '"'

    def number(value) -> str:
        if isinstance(value, int) or not plain:
            return json.dumps(value)
        text = format(Decimal(repr(value)), "f")
        return text.rstrip("0").rstrip(".") if "." in text else text

    def write(value, indent: str) -> str:
        if isinstance(value, str):
            return string(value)
        if value is None or isinstance(value, bool):
            return json.dumps(value)
        if isinstance(value, (int, float)):
            return number(value)
        inner = indent + "  " if spaces else ""
        if isinstance(value, list):
            parts, ends = [write(item, inner) for item in value], "[]"
        else:
            members = list(value.items())[:: -1 if backwards else 1]
            colon = " : " if spaces else ":"
            parts, ends = [string(key) + colon + write(item, inner) for key, item in members], "{}"
        if not parts or not spaces:
            return ends[0] + ",".join(parts) + ends[1]
        return f"{ends[0]}\n{inner}" + f",\n{inner}".join(parts) + f"\n{indent}{ends[1]}"

    return write(value, "")


def save_schema_tests(folder: Path, path: Path, content: bytes) -> None:
    if path.suffix != ".json" or path.parts[1:4] != ("json", "tests", "draft2020-12"):
        return
    groups = []
    for group in json.loads(content):
        tests = []
        for test in group["tests"]:
            data = test["data"]
            texts = [
                spelling(data),
                spelling(data, spaces=True),
                spelling(data, backwards=True),
                spelling(data, escapes=True),
            ]
            given = spelling(data, plain=False)
            tests.append({
                "description": test["description"],
                "valid": test["valid"],
                "texts": sorted(set(texts)),
                "asGiven": given,
            })
        schema = json.dumps(group["schema"], ensure_ascii=False)
        groups.append({"description": group["description"], "schema": schema, "tests": tests})
    name = "-".join(path.parts[4:])
    target = folder / "json-schema" / name
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(groups, ensure_ascii=False), encoding="utf-8")


# Package, archive, SHA-256, the file that says that it is done, and what saves a file of it.
ARCHIVES = [
    ("llama-cpp-python", "llama_cpp_python-0.3.9.tar.gz",
     "a3a985f558385e2f5de5b663f4e9b0817506d6af98122450142cd98e79216370", ".complete", save_model_file),
    ("jsonschema", "jsonschema-4.26.0.tar.gz",
     "0c26707e2efad8aa1bfc5b7ce170f3fccc2e4918ff85989ba9ffa9facb2be326", ".complete-json-schema", save_schema_tests),
]


def index_url() -> str:
    """The package index that pip uses on this machine."""
    if url := os.environ.get("PIP_INDEX_URL"):
        return url.rstrip("/")
    from pip._internal.models.index import PyPI

    return PyPI.simple_url


def fetch(folder: Path, package: str, name: str, expected: str, save) -> None:
    context = ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE"))
    request = urllib.request.Request(
        f"{index_url()}/{package}/", headers={"Accept": "application/vnd.pypi.simple.v1+json"})
    with urllib.request.urlopen(request, context=context, timeout=60) as answer:
        files = json.load(answer)["files"]
    url = next(f["url"] for f in files if f["filename"] == name)
    print(f"fetching {name}", flush=True)
    with tempfile.TemporaryFile() as archive:
        digest = hashlib.sha256()
        with urllib.request.urlopen(url, context=context, timeout=60) as answer:
            while chunk := answer.read(1 << 20):
                digest.update(chunk)
                archive.write(chunk)
        if digest.hexdigest() != expected:
            sys.exit(f"{name} has SHA-256 {digest.hexdigest()}, expected {expected}")
        archive.seek(0)
        with tarfile.open(fileobj=archive) as tar:
            for member in tar:
                if member.isfile():
                    save(folder, Path(member.name), tar.extractfile(member).read())


def main() -> None:
    root = Path(__file__).resolve().parent.parent
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("MARTINET_TEST_DATA", root / ".testdata"))
    folder.mkdir(parents=True, exist_ok=True)
    for package, name, expected, marker, save in ARCHIVES:
        done = folder / marker
        if done.exists() and done.read_text() == expected:
            continue
        fetch(folder, package, name, expected, save)
        done.write_text(expected)


if __name__ == "__main__":
    main()
