"""Load from wrk on a core of its own, and what a process takes meanwhile."""
import os
import re
import subprocess
import sys
from pathlib import Path


def pinned(core: int, *command) -> list[str]:
    return ["taskset", "-c", str(core), *map(str, command)]


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> float:
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()).group(1)) / 1024


def wrk(folder: Path, core: int, url: str, body: str, seconds: int, connections: int) -> dict:
    """Posts a body over connections for seconds, on a core: requests a second and in all, P50 and P99 in milliseconds."""
    script = folder / "post.lua"
    script.write_text(f"wrk.method = 'POST'\nwrk.body = [[{body}]]\nwrk.headers['Content-Type'] = 'application/json'\n")
    out = subprocess.run(
        pinned(core, "wrk", "--latency", "--timeout", "30s", "-t", 1, "-c", connections, "-d", f"{seconds}s", "-s", script, url),
        capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        sys.exit(f"requests failed:\n{out}")

    def milliseconds(share: str) -> float:
        value, unit = re.search(rf"{share}%\s+([\d.]+)(us|ms|s)", out).groups()
        return float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit]

    return {"rate": float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1)),
            "total": int(re.search(r"(\d+) requests in", out).group(1)),
            "p50": milliseconds("50"), "p99": milliseconds("99")}
