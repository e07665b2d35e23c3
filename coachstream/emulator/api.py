"""Every request's way to its answer, without a network."""

import hmac
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC
from email.utils import format_datetime
from random import Random

from .answer import TEXT, Answer, error
from .assignments import assignments_page, put_assignment
from .delivery import damaged, instead
from .endpoint import EndpointContext
from .faults import Fault, Route
from .limit import SlidingLimit
from .query import BadRequestError, Parameters
from .request_log import Request, Requests
from .sessions import sessions_page

ROUTES: Mapping[str, tuple[Route, frozenset[str]]] = {
    "/coaching/sessions/stream": ("sessions", frozenset({"GET"})),
    "/coaching/driver-coach-assignments": ("assignments", frozenset({"GET", "PUT"})),
}
"""The paths there are, the rate limit each has a share in, and the methods it knows."""


class Api:
    """Answers requests in the order of the checks: path, token, faults, rate limit, question."""

    def __init__(
        self,
        context: EndpointContext,
        *,
        faults: Iterable[Fault],
        token: str | None,
        rates: Mapping[Route, float | None],
        remember: int,
    ) -> None:
        self.requests = Requests(remember)
        self.faults = deque(faults)
        self._context = context
        self._token = token
        self._limits = {route: SlidingLimit(rate) for route, rate in rates.items() if rate}
        self._ids = Random(f"{context.world.seed} request ids")

    def answer(
        self,
        method: str,
        target: str,
        *,
        authorization: str,
        headers: Mapping[str, str],
        at: float,
    ) -> tuple[Answer, Fault | None]:
        """Return what a request gets, and what goes wrong with it; and remember it.

        Args:
            method: "GET" or another.
            target: The path and query, as sent.
            authorization: The header of that name, or an empty string.
            headers: All headers, as they may be remembered.
            at: When it came, in the loop's seconds.
        """
        path, _, raw_query = target.partition("?")
        asked = Parameters(path, raw_query)
        request_id = f"{self._ids.getrandbits(32):08x}"
        now = self._context.world.now
        self._context.world.advance(now)
        answer, fault = self._decide(method, asked, authorization, at, request_id)
        self.requests.append(
            Request(
                at=at,
                now=now,
                method=method,
                path=path,
                query=asked.values,
                raw_query=raw_query,
                headers=headers,
                status=0 if fault is not None and fault.kind == "hang_up" else answer.status,
                fault=fault,
                served=answer.served,
            )
        )
        date = format_datetime(now.astimezone(UTC), usegmt=True)
        headers = {"Date": date, **answer.headers, "Request-Id": request_id}
        return replace(answer, headers=headers), fault

    def _decide(
        self, method: str, asked: Parameters, authorization: str, at: float, request_id: str
    ) -> tuple[Answer, Fault | None]:
        if asked.path not in ROUTES:
            # Seen on the real API for a path that does not exist: bare text, not JSON.
            return Answer(
                status=404, body=b"404 page not found\n", headers={"Content-Type": TEXT}
            ), None
        route, methods = ROUTES[asked.path]
        if method not in methods:
            message = f"{method} not allowed on {asked.path}."
            return error(405, message, request_id=request_id), None
        if not self._authorized(authorization):
            return error(401, request_id=request_id), None
        fault = self._take_fault(route)
        early = fault and instead(fault, self._context.profile, request_id)
        if early:
            return early, fault
        limit = self._limits.get(route)
        if limit and (wait := limit.wait_for_room(at)):
            return error(429, request_id=request_id, headers={"Retry-After": f"{wait:.5f}"}), fault
        try:
            answer = self._ask(route, method, asked, fault, request_id)
        except BadRequestError as bad:
            answer = error(400, str(bad), request_id=request_id)
        return (damaged(fault, answer) if fault else answer), fault

    def _ask(
        self, route: Route, method: str, asked: Parameters, fault: Fault | None, request_id: str
    ) -> Answer:
        if asked.repeated and self._context.profile.repeated_keys == "reject":
            raise BadRequestError("Invalid value for parameter.")
        if method == "PUT":
            return put_assignment(self._context, asked, request_id)
        read = sessions_page if route == "sessions" else assignments_page
        empty = fault is not None and fault.kind in {"empty_page", "oversize"}
        return read(self._context, asked, empty=empty)

    def _authorized(self, authorization: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return False
        sent = token.encode(errors="replace")
        return self._token is None or hmac.compare_digest(sent, self._token.encode())

    def _take_fault(self, route: Route) -> Fault | None:
        for place, fault in enumerate(list(self.faults)):  # a test's thread may add to them
            if fault.route in {None, route}:
                del self.faults[place]
                return fault
        return None
