"""Cursors: opaque, long, bound to the question they answer, and gone after a while."""

import hmac
import json
from base64 import b64decode, b64encode
from datetime import datetime, timedelta
from hashlib import blake2b
from random import Random

from .clock import MILLISECOND, to_ms
from .query import BadRequestError, Parameters

SEAM = " +/=&%2F,~|"
"""What joins the two halves of a cursor: every character that a careless client fails to escape."""


class Cursors:
    """Makes cursors and reads them again, remembering none.

    A cursor carries its place, its age and the question it belongs to, all signed with the seed,
    so that an emulator started again with that seed honours it. Every cursor is spelled
    differently, even for one and the same place.
    """

    def __init__(self, seed: int, life: timedelta) -> None:
        self._key = f"coachstream {seed}".encode()
        self._life = life // MILLISECOND
        self._random = Random(seed)

    def make(self, place: int | str, asked: Parameters, now: datetime) -> str:
        """Return a cursor that stands for ``place`` in the answer to what was asked."""
        nonce = self._random.getrandbits(64)
        body = json.dumps([place, to_ms(now), asked.digest, nonce]).encode()
        return f"{self._sign(body)}{SEAM}{b64encode(body).decode()}"

    def place(self, asked: Parameters, now: datetime) -> int | str | None:
        """Return the place that the request's ``after`` stands for, None for the beginning.

        The messages have been seen on Samsara's sibling streams; that cursors live 30 days is from
        https://developers.samsara.com/docs/pagination.
        """
        if not asked.after:
            return None
        sent, _, encoded = asked.after.partition(SEAM)
        signature = sent.encode(errors="replace")
        try:
            body = b64decode(encoded, validate=True)
        except ValueError:
            body = b""
        if not hmac.compare_digest(signature, self._sign(body).encode()):
            raise BadRequestError("invalid or expired pagination cursor")
        place, made, digest, _ = json.loads(body)
        if to_ms(now) - made > self._life:
            raise BadRequestError("invalid or expired pagination cursor")
        if digest != asked.digest:
            raise BadRequestError("Parameters differ from previous paginated request.")
        return place  # type: ignore[no-any-return]  # signed: nobody but make() wrote it

    def _sign(self, body: bytes) -> str:
        return b64encode(blake2b(body, key=self._key, digest_size=33).digest()).decode()
