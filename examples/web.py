"""A FastAPI application that follows the feed, and does not hide it when that has ended.

    SAMSARA_API_TOKEN=... uvicorn --app-dir examples web:app

If a task of a web application fails, its pages go on as if nothing had happened. Here `/health`
responds with 503 from then on; let whatever restarts your process ask for it, such as a
livenessProbe of Kubernetes.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from fastapi import FastAPI, Response

from coachstream import Client, CoachingSession, Health, StreamState, consume

statuses: Counter[str] = Counter()


async def on_session(session: CoachingSession) -> None:
    """Count the versions by their status."""
    statuses[session.session_status] += 1


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Follow the feed while the application runs."""
    async with Client() as client:
        stream = client.sessions.stream(start_time=datetime.now(UTC) - timedelta(days=1))
        consumer = asyncio.create_task(
            consume(stream, on_session, name="web", store="sqlite:position.db", drain_timeout=5)
        )
        app.state.stream, app.state.consumer = stream, consumer
        yield
        await stream.aclose()
        await asyncio.wait([consumer])


app = FastAPI(lifespan=lifespan)


@app.get("/statuses")
async def get_statuses() -> dict[str, int]:
    """Return what has been read so far."""
    return statuses


@app.get("/health")
async def get_health(response: Response) -> dict[str, object]:
    """Respond with 503 when the consumer has ended, or does not get on."""
    health: Health = app.state.stream.health
    if app.state.consumer.done() or health.state is StreamState.STALLED:
        response.status_code = 503
    return health.to_dict()
