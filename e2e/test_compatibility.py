"""docs/reference/compatibility.md: each example of its tables is sent to a server; they have all that clients send."""
import inspect
import json
import re
from pathlib import Path

import anthropic
import httpx
import openai
import pytest

from conftest import ROOT, Server

PAGE = (ROOT / "docs/reference/compatibility.md").read_text()
# Each section of members: its heading, its endpoint, the request that members are added to, its rows.
SECTION = re.compile(r"^## (?P<name>.+)\n\n`POST (?P<path>/\S+)`(?: with\n\n```json\n(?P<base>.+)\n```|, a form)", re.M)
MEMBER = re.compile(r"^\| `(?P<member>\w+)` \| (?P<of>\w+) \| (?P<here>[a-z ]+) \| `(?P<example>.+?)` \|", re.M)
ENDPOINT = re.compile(r"^\| `(?P<method>[A-Z]+) (?P<path>/\S+)` \| (?P<here>[a-z ]+) \|", re.M)
# A path in the source of a client.
PATH = re.compile(r'(?:path_template\(|_(?:post|get|put|patch|delete|get_api_list)\()\s*f?"(/[^"?]*)')
OF_REQUESTS = {"extra_headers", "extra_query", "extra_body", "timeout"}


def sections() -> dict[str, dict]:
    found = {}
    for section in SECTION.finditer(PAGE):
        text = PAGE[section.end():].split("\n## ")[0]
        found[section["path"]] = {"base": section["base"], "rows": [row.groupdict() for row in MEMBER.finditer(text)]}
    return found


SECTIONS = sections()
ENDPOINTS = [row.groupdict() for row in ENDPOINT.finditer(PAGE)]
ROWS = [(path, row) for path, section in SECTIONS.items() for row in section["rows"]]


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compatibility")
    server = Server(folder / "log", "--data-dir", str(folder / "data"), "--strict-requests")
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="module")
def names(strict) -> dict[str, str]:
    """What the page writes for ids that a server makes."""
    file = strict.client.post("/v1/files", files={"file": b"{}"}, data={"purpose": "batch"}).json()
    answer = strict.client.post("/v1/responses", json={"input": "Hi", "max_output_tokens": 1, "store": True}).json()
    return {"FILE": file["id"], "RESPONSE": answer["id"]}


def body(path: str, row: dict, names: dict[str, str]) -> dict:
    text = "{" + row["example"] + "}"
    request = json.loads(SECTIONS[path]["base"] or "{}") | json.loads(text)
    return json.loads(re.sub('"(FILE|RESPONSE)"', lambda name: f'"{names[name[1]]}"', json.dumps(request)))


def send(client: httpx.Client, path: str, request: dict) -> httpx.Response:
    if SECTIONS[path]["base"]:
        return client.post(path, json=request)
    form = {"purpose": "user_data", "file": "x"} | request
    return client.post(path, files={"file": form.pop("file").encode()}, data=form)


def code(answer: httpx.Response) -> str:
    error = answer.json()["error"]
    return error["code"] if "code" in error else error["details"]["error_code"]


@pytest.mark.parametrize("path,row", ROWS, ids=[f"{path}-{row['member']}-{row['here']}" for path, row in ROWS])
def test_members(path, row, strict, names, http):
    request = body(path, row, names)
    answer = send(strict.client, path, request)
    match row["here"]:
        case "served" | "no effect":
            assert answer.status_code == 200, answer.text
        case "refused":
            assert answer.status_code == 400 and code(answer) != "unknown_parameter", answer.text
            assert f"`{row['member']}" in answer.text, answer.text
        case "not known":
            assert (answer.status_code, code(answer)) == (400, "unknown_parameter"), answer.text
            assert f"`{row['member']}`" in answer.text
            # Batches need the storage of the other server.
            if path != "/v1/batches":
                answer = send(http, path, request)
                assert answer.status_code == 200, answer.text
        case other:
            raise AssertionError(other)


@pytest.mark.parametrize("row", ENDPOINTS, ids=lambda row: f"{row['method']} {row['path']}")
def test_endpoints(row, strict, http):
    path = row["path"].replace("/v1/models/{id}", "/v1/models/smollm2").replace("{id}", "nobody").removesuffix("/…")

    def ask(client: httpx.Client) -> tuple[int, str]:
        answer = client.request(row["method"], path, **({"json": {}} if row["method"] == "POST" else {}))
        return answer.status_code, answer.text

    status, text = ask(strict.client)
    match row["here"]:
        case "served":
            assert status in (200, 400), text
        case "storage":
            # An id that nobody has is known to be one; a file is no JSON.
            assert status in (200, 400, 404, 415) and "no route" not in text, text
            assert ask(http)[0] == 501 and "storage_off" in ask(http)[1]
        case "refused":
            assert status == 501 and "not_implemented" in text, text
        case "not yet":
            assert status == 405 or (status == 404 and "There is no route" in text), text
        case other:
            raise AssertionError(other)


def parameters(function) -> set[str]:
    return set(inspect.signature(function).parameters) - OF_REQUESTS


def test_all_members_of_the_clients():
    one, two = openai.OpenAI(api_key="none"), anthropic.Anthropic(api_key="none")
    headers = {"betas", "user_profile_id", "workspace_id"}
    calls = {
        "/v1/chat/completions": parameters(one.chat.completions.create),
        "/v1/completions": parameters(one.completions.create),
        "/v1/responses": parameters(one.responses.create),
        "/v1/responses/input_tokens": parameters(one.responses.input_tokens.count),
        "/v1/embeddings": parameters(one.embeddings.create),
        "/v1/files": parameters(one.files.create),
        "/v1/batches": parameters(one.batches.create),
        "/v1/messages": (parameters(two.messages.create) | parameters(two.beta.messages.create)) - headers,
        "/v1/messages/count_tokens": parameters(two.messages.count_tokens) - headers,
    }
    for path, members in calls.items():
        assert members, path
        missing = members - {row["member"] for row in SECTIONS[path]["rows"]}
        assert not missing, (path, sorted(missing))


@pytest.mark.parametrize("client", [openai, anthropic], ids=lambda client: client.__name__)
def test_all_endpoints_of_the_clients(client):
    rows = {re.sub(r"\{\w+\}", "{}", row["path"]) for row in ENDPOINTS}
    unnamed = set()
    for file in (Path(client.__file__).parent / "resources").rglob("*.py"):
        for path in PATH.findall(file.read_text()):
            path = re.sub(r"\{\w+\}", "{}", path if path.startswith("/v1/") else "/v1" + path)
            if path not in rows and not any(path.startswith(row[:-2]) for row in rows if row.endswith("/…")):
                unnamed.add(path)
    assert not unnamed, sorted(unnamed)


def test_the_page_was_read():
    assert len(SECTIONS) == 11 and len(ENDPOINTS) > 100 and len(ROWS) > 200
    # No row is left out because it is written otherwise.
    assert len(ROWS) + len(ENDPOINTS) == len(re.findall(r"^\| `(?!--)", PAGE, re.M))
