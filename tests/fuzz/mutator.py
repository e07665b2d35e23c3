"""A seeded generator of nearly valid inputs."""

import json
from random import Random
from typing import Any

TOKENS = (
    *(b"null", b"true", b"false", b'""', b"{}", b"[]", b"0", b"-0", b"1e400", b"-1e-400"),
    *(b"NaN", b"Infinity", b"9" * 30, b'"\\ud83d"', b'"\\ud83d\\ude9a"', b'"\\\\ud83d"'),
    *(b'"\xff"', b'"\x00"', b'"\\u0000"', b"\xef\xbb\xbf", b"[" * 1200, b'{"a":' * 1200),
    *(b'"2026-01-01T00:00:00Z"', b'"2026-01-01T00:00:00"', b'"0001-01-01T00:00:00+14:00"'),
    *(b'"9999-12-31T23:59:59-14:00"', b'"2026-01-01T00:00:00.123456789-00:30"', b'"0000-00-00"'),
    *(b'"id":', b'"updatedAtTime":', b'"driver":', b'"data":', b'"pagination":', b'"endCursor":'),
    *(b'"hasNextPage":', b'"format":', b'"position":', b'"query":', b'"revision":', b'"sha256":'),
    *(b"&endTime=", b"startTime=", b"%0d%0a", b"\r\n", b"\n", b",", b"}", b"]", b":", b'"', b"\\"),
    *(b"Fri, 31 Dec 9999 23:59:59 -9999", b"Thu, 01 Jan 0001 00:00:00 +2359", b"0.40235", b"-1"),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, "", {}, [], 0, -1, 1.5, 1e308, float("nan"), 10**30, "0", "\ud83d"),
    *("\U0001f69a", "\0", "\r\n", "x" * 300, "2026-01-01T00:00:00Z", "2026-01-01T00:00:00"),
    *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00Z"),
    *("startTime=2026-01-01T00%3A00%3A00Z", "startTime=x", "startTime=2026-01-01", "&endTime="),
)
_LONGEST = 20_000


class Mutator:
    """Makes new inputs by changing those of its pool."""

    def __init__(self, seeds: list[bytes], chance: Random) -> None:
        self.pool = list(seeds)
        self._chance = chance

    def draw(self) -> bytes:
        """Return an input with one to eight changes."""
        data = self._chance.choice(self.pool)
        if self._chance.random() < 0.4:
            data = self._changed_value(data)
        else:
            for _ in range(self._chance.choice((1, 1, 1, 2, 3, 8))):
                data = self._changed_bytes(data)
        return data[:_LONGEST]

    def _changed_bytes(self, data: bytes) -> bytes:
        chance = self._chance
        start = chance.randint(0, len(data))
        end = min(len(data), start + chance.choice((0, 1, 1, 2, 8, 64)))
        match chance.randrange(7):
            case 0:
                new = chance.randbytes(chance.choice((0, 1, 1, 4)))
            case 1:
                new = chance.choice(TOKENS)
            case 2:
                new = b""
            case 3:
                new = data[start:end] * chance.choice((2, 2, 30))
            case 4:
                other = chance.choice(self.pool)
                offset = chance.randint(0, len(other))
                new = other[offset : offset + chance.choice((1, 10, 100, 1000))]
            case 5:
                new = bytes(byte ^ (1 << chance.randrange(8)) for byte in data[start:end])
            case _:
                return data[:start]
        return data[:start] + new + data[end:]

    def _changed_value(self, data: bytes) -> bytes:
        """Change some value of the JSON, if the bytes are JSON."""
        first, newline, rest = data.partition(b"\n")
        sealed = bool(newline) and first.startswith(b"{")
        try:
            value = json.loads(rest if sealed else data)
        except (ValueError, RecursionError):
            return self._changed_bytes(data)
        for _ in range(self._chance.choice((1, 1, 2, 4))):
            value = self._changed_somewhere(value)
        text = json.dumps(value, ensure_ascii=self._chance.random() < 0.5).encode(
            errors="surrogatepass"
        )
        return first + b"\n" + text if sealed else text

    def _changed_somewhere(self, value: Any) -> Any:
        chance = self._chance
        if not isinstance(value, dict | list) or not value or chance.random() < 0.15:
            return chance.choice(VALUES)
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = chance.choice(keys)
        copy = value.copy()
        if chance.random() < 0.1:
            del copy[key]
        elif chance.random() < 0.1 and isinstance(copy, list):
            copy.insert(key, copy[key])
        else:
            copy[key] = self._changed_somewhere(copy[key])
        return copy
