"""Files and batches with OpenAI's client, over a server with a state folder: also one that is killed in the middle."""
import io
import json
import sqlite3
import subprocess
import time

import httpx
import openai
import pytest

from conftest import BINARY, MODEL


def line(name, endpoint="/v1/chat/completions", **body):
    if endpoint == "/v1/chat/completions":
        body = {"messages": [{"role": "user", "content": f"Say {name}."}], "max_tokens": 8, "temperature": 0, **body}
    return {"custom_id": name, "method": "POST", "url": endpoint, "body": {"model": MODEL, **body}}


def jsonl(lines):
    return "".join(json.dumps(entry) + "\n" for entry in lines).encode()


def connect(server):
    return openai.OpenAI(base_url=server.url + "/v1", api_key="none", timeout=120, max_retries=0)


def upload(client, lines, name="requests.jsonl"):
    return client.files.create(file=(name, io.BytesIO(jsonl(lines))), purpose="batch")


def create(client, lines, **options):
    endpoint = lines[0]["url"]
    return client.batches.create(
        input_file_id=upload(client, lines).id, endpoint=endpoint, completion_window="24h", **options)


def wait(client, batch, *statuses, seconds=150):
    deadline = time.monotonic() + seconds
    while True:
        batch = client.batches.retrieve(batch.id)
        if batch.status in (statuses or ("completed", "failed", "expired", "cancelled")):
            return batch
        assert time.monotonic() < deadline, batch
        time.sleep(0.05)


def read(client, file_id):
    return [json.loads(entry) for entry in client.files.content(file_id).text.splitlines()] if file_id else []


@pytest.fixture
def storing(start, tmp_path):
    return start("--data-dir", str(tmp_path / "state"))


def test_files(storing, tmp_path):
    client = connect(storing)
    content = bytes(range(256)) * 5000
    first = client.files.create(file=("notes.bin", io.BytesIO(content)), purpose="user_data")
    assert (first.bytes, first.filename, first.purpose, first.object) == (
        len(content), "notes.bin", "user_data", "file")
    second = client.files.create(
        file=("näh\"t.jsonl", b"{}\n"), purpose="batch", expires_after={"anchor": "created_at", "seconds": 3600})
    assert second.expires_at == second.created_at + 3600
    assert client.files.content(first.id).read() == content
    assert client.files.retrieve(second.id).id == second.id
    assert [file.id for file in client.files.list()] == [second.id, first.id]
    assert [file.id for file in client.files.list(order="asc", limit=1)] == [first.id, second.id]
    assert [file.id for file in client.files.list(purpose="batch")] == [second.id]
    assert client.files.delete(first.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(first.id)
    with pytest.raises(openai.NotFoundError):
        client.files.content(first.id)
    with pytest.raises(openai.NotFoundError):
        client.files.delete(first.id)
    with pytest.raises(openai.BadRequestError, match="purpose"):
        client.files.create(file=("a", b"x"), purpose="batch_output")
    with pytest.raises(openai.BadRequestError, match="after"):
        client.files.list(after="file-none")
    assert [path.name for path in (tmp_path / "state/files").iterdir()] == [second.id]


def test_hostile_uploads(start, tmp_path):
    server = start("--data-dir", str(tmp_path / "state"), "--max-file-bytes", "64KiB", "--max-data-bytes", "1MiB")
    client = connect(server)
    with pytest.raises(openai.APIStatusError) as large:
        client.files.create(file=("a", b"x" * (1 << 20)), purpose="user_data")
    assert large.value.status_code == 413 and large.value.code == "file_too_large"
    http = server.client
    boundary = {"Content-Type": "multipart/form-data; boundary=x"}
    part = b'--x\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
    file = part % (b"file", b'; filename="a"', b"content")
    purpose = part % (b"purpose", b"", b"user_data")
    for body, status in [
        (b"", 400), (b"--x--", 400), (b"junk" * 100_000, 400), (file + purpose, 400), (file + b"--x--", 400),
        (purpose + b"--x--", 400), (purpose * 40 + b"--x--", 400), (b"--x\r\nA: " + b"b" * 20_000, 400),
        (part % (b"purpose", b"", b"p" * 5000) + b"--x--", 400), (file * 2 + purpose + b"--x--", 400),
        (b"--x\r\n\r\nno name\r\n--x--", 400), (file + purpose + b"--x--", 200), (purpose + file + b"--x--\r\n", 200),
    ]:
        answer = http.post("/v1/files", content=body, headers=boundary)
        assert answer.status_code == status, (body[:200], answer.text)
    assert http.post("/v1/files", content=b"{}", headers={"Content-Type": "application/json"}).status_code == 415
    page = {**boundary, "Origin": "https://elsewhere.example"}
    assert http.post("/v1/files", content=file + purpose + b"--x--", headers=page).status_code == 403
    # What broke off or was refused takes no room.
    before = len(list((tmp_path / "state/files").iterdir()))
    with pytest.raises(httpx.HTTPError):
        def broken():
            yield file[:-2]
            raise httpx.ReadError("gone")
        http.post("/v1/files", content=broken(), headers=boundary)
    deadline = time.monotonic() + 30
    while len(list((tmp_path / "state/files").iterdir())) != before:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    # All files together have a bound too.
    for _ in range(20):
        try:
            client.files.create(file=("a", b"x" * 60_000), purpose="user_data")
        except openai.APIStatusError as error:
            assert (error.status_code, error.code) == (507, "storage_full")
            break
    else:
        raise AssertionError("there was no bound")
    for stored in client.files.list():
        client.files.delete(stored.id)
    assert server.metric("martinet_storage_file_bytes") == 0
    assert client.files.create(file=("a", b"x" * 60_000), purpose="user_data").bytes == 60_000


def test_batch(storing):
    client = connect(storing)
    lines = [line(f"r{index}") for index in range(20)]
    lines[3]["body"]["temperature"] = "hot"
    lines[11]["body"]["model"] = "nobody"
    batch = create(client, lines, metadata={"run": "nightly"})
    assert batch.status == "validating" and batch.metadata == {"run": "nightly"}
    # The file is in use until the end.
    with pytest.raises(openai.ConflictError):
        client.files.delete(batch.input_file_id)
    batch = wait(client, batch)
    assert batch.status == "completed", batch
    counts = batch.request_counts
    assert (counts.total, counts.completed, counts.failed) == (20, 18, 2)
    output = {entry["custom_id"]: entry for entry in read(client, batch.output_file_id)}
    errors = {entry["custom_id"]: entry for entry in read(client, batch.error_file_id)}
    assert sorted(output) + sorted(errors) == sorted({f"r{i}" for i in range(20)} - {"r3", "r11"}) + ["r11", "r3"]
    answer = output["r0"]["response"]
    assert answer["status_code"] == 200 and output["r0"]["error"] is None
    direct = client.chat.completions.create(**lines[0]["body"])
    assert answer["body"]["choices"][0]["message"]["content"] == direct.choices[0].message.content
    assert errors["r3"]["response"]["status_code"] == 400
    assert errors["r3"]["response"]["body"]["error"]["param"] == "temperature"
    assert errors["r11"]["response"]["status_code"] == 404
    stored = client.files.retrieve(batch.output_file_id)
    assert stored.purpose == "batch_output" and stored.filename == f"{batch.id}_output.jsonl"
    assert [entry.id for entry in client.batches.list()] == [batch.id]
    assert storing.metric("martinet_batch_requests_total", outcome="completed") == 18
    with pytest.raises(openai.ConflictError):
        client.batches.cancel(batch.id)
    for file_id in (batch.input_file_id, batch.output_file_id, batch.error_file_id):
        assert client.files.delete(file_id).deleted


def test_refused_batches(storing):
    client = connect(storing)
    lines = [
        b"{not json", json.dumps(line("a")).encode(), json.dumps(line("a")).encode(),
        json.dumps({**line("b"), "method": "GET"}).encode(), json.dumps({**line("c"), "url": "/generate"}).encode(),
        json.dumps({"custom_id": "d", "method": "POST", "url": "/v1/chat/completions"}).encode(), b'"text"', b"\xff",
        json.dumps({**line("e"), "custom_id": 7}).encode(),
    ]
    stored = client.files.create(file=("bad.jsonl", b"\n".join(lines)), purpose="batch")
    options = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}
    batch = wait(client, client.batches.create(input_file_id=stored.id, **options))
    assert batch.status == "failed" and batch.output_file_id is None
    assert [(problem.line, problem.code) for problem in batch.errors.data] == [
        (1, "invalid_json_line"), (3, "duplicate_custom_id"), (4, "invalid_method"), (5, "mismatched_endpoint"),
        (6, "missing_required_parameter"), (7, "invalid_json_line"), (8, "invalid_json_line"), (9, "invalid_type")]
    empty = client.files.create(file=("empty.jsonl", b"\n \n"), purpose="batch")
    batch = wait(client, client.batches.create(input_file_id=empty.id, **options))
    assert batch.status == "failed" and batch.errors.data[0].code == "empty_file"
    other = client.files.create(file=("a", b"x"), purpose="user_data")
    for fields in [
        {"input_file_id": other.id}, {"input_file_id": "file-none"}, {"endpoint": "/v1/moderations"},
        {"completion_window": "1h"}, {"metadata": {"a": 1}},
    ]:
        with pytest.raises(openai.BadRequestError):
            client.batches.create(**{"input_file_id": stored.id, **options, **fields})
    with pytest.raises(openai.NotFoundError):
        client.batches.retrieve("batch_none")
    with pytest.raises(openai.NotFoundError):
        client.batches.cancel("batch_none")


def test_killed_server(start, tmp_path):
    """Three times in the middle of a batch: exactly one line for each request."""
    flags = ("--data-dir", str(tmp_path / "state"), "--batch-concurrency", "4")
    server = start(*flags)
    client = connect(server)
    batch = create(client, [line(f"r{index}", max_tokens=16) for index in range(60)])
    for done in (5, 15, 30):
        deadline = time.monotonic() + 100
        while client.batches.retrieve(batch.id).request_counts.completed < done:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        server.process.kill()
        server.process.wait(10)
        server = start(*flags)
        client = connect(server)
        assert client.batches.retrieve(batch.id).request_counts.completed >= done
    batch = wait(client, batch)
    assert batch.status == "completed" and batch.request_counts.completed == 60
    names = [entry["custom_id"] for entry in read(client, batch.output_file_id)]
    assert len(names) == 60 and set(names) == {f"r{index}" for index in range(60)}
    # A stop that is asked for leaves the batch for the next start too.
    second = create(client, [line(f"s{index}", max_tokens=32) for index in range(40)])
    wait(client, second, "in_progress")
    assert server.stop() == 0
    server = start(*flags)
    client = connect(server)
    second = wait(client, second)
    assert second.status == "completed" and len(read(client, second.output_file_id)) == 40
    files = {path.name for path in (tmp_path / "state/files").iterdir()}
    assert files == {stored.id for stored in client.files.list()}


def test_cancelled_batch(storing):
    client = connect(storing)
    batch = create(client, [line(f"r{index}", max_tokens=64, ignore_eos=True) for index in range(200)])
    deadline = time.monotonic() + 60
    while client.batches.retrieve(batch.id).request_counts.completed < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert client.batches.cancel(batch.id).status in ("cancelling", "cancelled")
    batch = wait(client, batch)
    assert batch.status == "cancelled" and batch.cancelling_at and batch.cancelled_at
    output, errors = read(client, batch.output_file_id), read(client, batch.error_file_id)
    assert len(output) == batch.request_counts.completed >= 2
    assert len(output) + len(errors) == 200 and len({entry["custom_id"] for entry in output + errors}) == 200
    assert {entry["error"]["code"] for entry in errors} == {"batch_cancelled"}
    storing.wait_idle()


def test_others_go_first(start, tmp_path):
    """With one place in the engine and many requests of a batch before it, whoever asks now is next."""
    server = start("--data-dir", str(tmp_path / "state"), "--max-num-seqs", "1", "--batch-concurrency", "32")
    client = connect(server)
    batch = create(client, [line(f"r{index}", max_tokens=48, ignore_eos=True) for index in range(60)])
    deadline = time.monotonic() + 60
    while server.metric("vllm:num_requests_waiting") < 31:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    before = client.batches.retrieve(batch.id).request_counts.completed
    for number in range(2):
        client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": f"Hello {number}"}], max_tokens=4)
    # In the order of arrival it would be more than thirty for each.
    assert client.batches.retrieve(batch.id).request_counts.completed - before < 20
    client.batches.cancel(batch.id)
    wait(client, batch)


def test_one_server_a_folder(storing, tmp_path):
    second = subprocess.run(
        [BINARY, "serve", MODEL, "--port", "0", "--data-dir", str(tmp_path / "state")],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert second.returncode != 0 and "Another server has the folder" in second.stdout + second.stderr


def test_unusable_folders(tmp_path):
    def refuse(folder):
        ended = subprocess.run(
            [BINARY, "serve", MODEL, "--port", "0", "--data-dir", str(folder)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        assert ended.returncode not in (0, -6, -4), ended
        return ended.stdout + ended.stderr

    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "martinet.db").write_bytes(b"no database, this is" * 1000)
    assert "is damaged" in refuse(damaged)
    newer = tmp_path / "newer"
    newer.mkdir()
    with sqlite3.connect(newer / "martinet.db") as database:
        database.execute("CREATE TABLE grdb_migrations (identifier TEXT NOT NULL PRIMARY KEY)")
        database.execute("INSERT INTO grdb_migrations VALUES ('999 things to come')")
    database.close()
    assert "later version" in refuse(newer)
    assert "cannot be made" in refuse("/proc/nowhere")


def test_without_storage(server):
    client = openai.OpenAI(base_url=server.url + "/v1", api_key="none", timeout=30)
    for ask in (
        lambda: client.files.list(), lambda: client.files.create(file=("a", b"x"), purpose="batch"),
        lambda: client.batches.list(), lambda: client.batches.cancel("batch_a"), lambda: client.files.content("a"),
        lambda: client.files.delete("file-a"),
    ):
        with pytest.raises(openai.InternalServerError, match="--data-dir") as error:
            ask()
        assert error.value.status_code == 501 and error.value.code == "storage_off"
