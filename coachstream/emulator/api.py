"""Turns requests into responses, without a network."""

import hmac
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC
from email.utils import format_datetime
from random import Random

from .assignments import assignments_page, put_assignment
from .delivery import apply_fault, early_answer
from .endpoint import EndpointContext
from .faults import Fault, Route
from .limit import SlidingLimit
from .query import BadRequestError, Parameters
from .request_log import Request, Requests
from .response import TEXT, Response, error
from .sessions import sessions_page

ROUTES: Mapping[str, tuple[Route, frozenset[str]]] = {
    "/coaching/sessions/stream": ("sessions", frozenset({"GET"})),
    "/coaching/driver-coach-assignments": ("assignments", frozenset({"GET", "PUT"})),
}
"""Each known path, with the rate limit it counts against and its methods."""


class Api:
    """Checks requests in this order: path, method, token, faults, rate limit, parameters."""

    def __init__(
        self,
        context: EndpointContext,
        *,
        faults: Iterable[Fault],
        token: str | None,
        rates: Mapping[Route, float | None],
        remember: int,
        on_request: Callable[[Request], object] | None,
    ) -> None:
        self._on_request = on_request
        self.requests = Requests(remember)
        self.faults = deque(faults)
        self._context = context
        self._token = token
        self._limits = {route: SlidingLimit(rate) for route, rate in rates.items() if rate}
        self._ids = Random(f"{context.world.seed} request ids")

    def respond(
        self,
        method: str,
        target: str,
        *,
        authorization: str,
        headers: Mapping[str, str],
        at: float,
    ) -> tuple[Response, Fault | None]:
        """Return the response to a request and the fault to apply to it; log the request.

        Args:
            method: The HTTP method.
            target: The path and query, as sent.
            authorization: The Authorization header, or an empty string.
            headers: All headers as they are to be logged, without the token.
            at: The arrival time in seconds, on the event loop's clock.
        """
        path, _, raw_query = target.partition("?")
        parameters = Parameters(path, raw_query)
        request_id = f"{self._ids.getrandbits(32):08x}"
        now = self._context.world.now
        self._context.world.advance(now)
        response, fault = self._decide(method, parameters, authorization, at, request_id)
        request = Request(
            at=at,
            now=now,
            method=method,
            path=path,
            query=parameters.values,
            raw_query=raw_query,
            headers=headers,
            status=0 if fault is not None and fault.kind == "hang_up" else response.status,
            fault=fault,
            served=response.served,
        )
        self.requests.append(request)
        if self._on_request is not None:
            self._on_request(request)
        # aiohttp would add a Date of its own, so an empty one stands for none.
        dated = self._context.profile.date_header
        date = format_datetime(now.astimezone(UTC), usegmt=True) if dated else ""
        headers = {"Date": date, **response.headers, "Request-Id": request_id}
        return replace(response, headers=headers), fault

    def _decide(
        self, method: str, parameters: Parameters, authorization: str, at: float, request_id: str
    ) -> tuple[Response, Fault | None]:
        if parameters.path not in ROUTES:
            # Observed on the real API: an unknown path gets plain text, not JSON.
            return Response(
                status=404, body=b"404 page not found\n", headers={"Content-Type": TEXT}
            ), None
        route, methods = ROUTES[parameters.path]
        if method not in methods:
            message = f"{method} not allowed on {parameters.path}."
            return error(405, message, request_id=request_id), None
        if not self._authorized(authorization):
            return error(401, request_id=request_id), None
        fault = self._take_fault(route)
        early = fault and early_answer(fault, self._context.profile, request_id)
        if early:
            return early, fault
        limit = self._limits.get(route)
        if limit and (wait := limit.try_acquire(at)):
            return error(429, request_id=request_id, headers={"Retry-After": f"{wait:.5f}"}), fault
        try:
            response = self._call_endpoint(route, method, parameters, fault, request_id)
        except BadRequestError as bad:
            response = error(400, str(bad), request_id=request_id)
        return (apply_fault(fault, response) if fault else response), fault

    def _call_endpoint(
        self,
        route: Route,
        method: str,
        parameters: Parameters,
        fault: Fault | None,
        request_id: str,
    ) -> Response:
        if parameters.repeated and self._context.profile.repeated_keys == "reject":
            raise BadRequestError("Invalid value for parameter.")
        if method == "PUT":
            return put_assignment(self._context, parameters, request_id)
        endpoint = sessions_page if route == "sessions" else assignments_page
        empty = fault is not None and fault.kind in {"empty_page", "oversize"}
        return endpoint(self._context, parameters, empty=empty)

    def _authorized(self, authorization: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return False
        sent = token.encode(errors="replace")
        return self._token is None or hmac.compare_digest(sent, self._token.encode())

    def _take_fault(self, route: Route) -> Fault | None:
        for index, fault in enumerate(list(self.faults)):  # a test's thread may append to them
            if fault.route in {None, route}:
                del self.faults[index]
                return fault
        return None
