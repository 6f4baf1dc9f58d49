"""Load by wrk, a client in C: in Python, the client would take longer than what it measures."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

LIFE_CYCLE = Path(__file__).with_name("life_cycle.lua")
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


@frozen
class Load:
    """What one run of wrk measured.

    Args:
        per_second: Requests, or rounds of a life cycle, per second.
        p50: The median of the requests' latencies, in milliseconds.
        p99: Their 99th percentile, in milliseconds.
    """

    per_second: float
    p50: float
    p99: float


def get(url: str, headers: Mapping[str, str], connections: int, seconds: int) -> Load:
    """Ask for an address over and over.

    Args:
        url: The address.
        headers: The headers of each request.
        connections: How many connections ask at the same time.
        seconds: For how long.
    """
    text = _run(["-t1", f"-c{connections}", f"-d{seconds}s", *_headers(headers), url])
    if "Non-2xx" in text:
        raise AssertionError(text)
    return Load(float(_found(r"Requests/sec:\s+([\d.]+)", text)), _at(50, text), _at(99, text))


def live(base: str, query: str, headers: Mapping[str, str], connections: int, seconds: int) -> Load:
    """Make, read, delete and miss a thing over and over, each connection one of its own.

    Args:
        base: The address up to the thing's name.
        query: What follows the name.
        headers: The headers of each request.
        connections: How many connections do so at the same time.
        seconds: For how long.
    """
    host, slash, path = base.partition("://")[2].partition("/")
    url = f"{base.partition('://')[0]}://{host}/"
    text = _run(
        [
            *(f"-t{connections}", f"-c{connections}", f"-d{seconds}s"),
            *("-s", str(LIFE_CYCLE), *_headers(headers), url, "--", slash + path, query),
        ]
    )
    match = re.search(r"Rounds: (\d+) in (\d+) us, wrong: (\d+)", text)
    if match is None or match.group(3) != "0":
        raise AssertionError(text)
    rounds, microseconds, _ = map(int, match.groups())
    return Load(rounds / (microseconds / 1e6), _at(50, text), _at(99, text))


def _run(arguments: list[str]) -> str:
    wrk = shutil.which("wrk")
    if wrk is None:
        raise SystemExit("wrk is not installed: it is a package of Debian and of Homebrew")
    command = [wrk, "--latency", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _headers(headers: Mapping[str, str]) -> list[str]:
    return [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]


def _at(percent: int, text: str) -> float:
    value, unit = _match(rf"{percent}%\s+([\d.]+)(us|ms|s)\b", text).groups()
    return float(value) * _UNITS[unit]


def _found(pattern: str, text: str) -> str:
    return _match(pattern, text)[1]


def _match(pattern: str, text: str) -> re.Match[str]:
    found = re.search(pattern, text)
    if found is None:
        raise ValueError(f"wrk printed nothing like {pattern!r}:\n{text}")
    return found
