"""Cursors: opaque, long, bound to the request's parameters, and valid for a limited time."""

import hmac
import json
from base64 import b64decode, b64encode
from datetime import datetime, timedelta
from hashlib import blake2b
from random import Random

from .clock import MILLISECOND, to_ms
from .query import BadRequestError, Parameters

SEPARATOR = " +/=&%2F,~|"
"""Joins the two halves of a cursor; holds every character that careless clients fail to escape."""


class Cursors:
    """Creates and reads cursors without storing them.

    A cursor holds its position, its time of creation and a digest of the parameters, signed with
    the seed. So an emulator restarted with the same seed accepts it. Every cursor is spelled
    differently, even for the same position; or with ``of_places``, the same position always has
    the same cursor, which then lives from when it was last handed out.
    """

    def __init__(self, seed: int, lifetime: timedelta, *, of_places: bool = False) -> None:
        self._key = f"coachstream {seed}".encode()
        self._lifetime = lifetime // MILLISECOND
        self._random = Random(seed)
        self._of_places = of_places
        self._handed_out: dict[str, int] = {}
        self._refused = ""

    def make(self, position: int | str, parameters: Parameters, now: datetime) -> str:
        """Return a cursor for ``position`` in the results for these parameters."""
        unique = None if self._of_places else [to_ms(now), self._random.getrandbits(64)]
        body = json.dumps([position, unique, parameters.digest]).encode()
        cursor = f"{self._sign(body)}{SEPARATOR}{b64encode(body).decode()}"
        if self._of_places:
            self._handed_out[cursor] = to_ms(now)
        return cursor

    def refuse_at_times(self, cursor: str, probability: float) -> None:
        """Refuse a good cursor with this probability, but never twice in a row."""
        if not cursor or not probability:
            return
        again, self._refused = cursor == self._refused, ""
        if not again and self._random.random() < probability:
            self._refused = cursor
            raise BadRequestError("invalid or expired pagination cursor")

    def position(self, parameters: Parameters, now: datetime) -> int | str | None:
        """Return the position of the request's cursor, or None for the start.

        The messages were observed on Samsara's sibling streams. Cursors are valid for 30 days:
        https://developers.samsara.com/docs/pagination.
        """
        if not parameters.after:
            return None
        sent, _, encoded = parameters.after.partition(SEPARATOR)
        signature = sent.encode(errors="replace")
        try:
            body = b64decode(encoded, validate=True)
        except ValueError:
            body = b""
        if not hmac.compare_digest(signature, self._sign(body).encode()):
            raise BadRequestError("invalid or expired pagination cursor")
        position, unique, digest = json.loads(body)
        created = unique[0] if unique else self._handed_out.get(parameters.after, to_ms(now))
        if to_ms(now) - created > self._lifetime:
            raise BadRequestError("invalid or expired pagination cursor")
        if digest != parameters.digest:
            raise BadRequestError("Parameters differ from previous paginated request.")
        return position  # type: ignore[no-any-return]  # signed, so make() wrote it

    def _sign(self, body: bytes) -> str:
        return b64encode(blake2b(body, key=self._key, digest_size=33).digest()).decode()
