"""What a server takes in memory, at its peak."""
import asyncio
import os
from pathlib import Path

import httpx

MIB = 1 << 20
HOME = Path(os.environ.get("MARTINET_HOME", Path.home() / ".cache/martinet"))


def memory(process) -> dict[str, int]:
    """The figures of /proc/PID/status in bytes."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    pairs = (line.split(":", 1) for line in lines)
    return {name: int(value.split()[0]) << 10 for name, value in pairs if value.endswith(" kB")}


def test_peak_is_below_1_4_times_the_file_and_the_pool(start):
    """Sixteen clients with prompts of their own, until every block of the pool has been used."""
    pool = 64 * MIB
    # Without guesses: how many rows of logits they need at once is a matter of chance.
    server = start("--in-process", "--kv-cache-memory", str(pool), "--speculation", "off")
    file = next((HOME / "models/smollm2").glob("*.gguf")).stat().st_size

    async def ask(client: httpx.AsyncClient, number: int) -> None:
        prompt = " ".join(f"{number} {word} {number * word}" for word in range(24))
        answer = await client.post("/v1/completions", json={
            "model": "smollm2", "prompt": prompt, "max_tokens": 128, "ignore_eos": True, "temperature": 1,
            "seed": number})
        assert answer.status_code == 200, answer.text

    async def load() -> None:
        limits = httpx.Limits(max_connections=16)
        async with httpx.AsyncClient(base_url=server.url, timeout=300, limits=limits) as client:
            await asyncio.gather(*(ask(client, number) for number in range(32)))

    asyncio.run(load())
    figures = memory(server.process)
    # The pool is full: what is not the weights' nor the pool's would not have room in this.
    assert figures["RssAnon"] > 0.95 * file + pool, figures
    assert figures["VmHWM"] < 1.4 * file + pool, figures
