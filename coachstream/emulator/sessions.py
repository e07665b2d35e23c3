"""GET /coaching/sessions/stream."""

from itertools import islice, takewhile
from typing import cast

from .answer import Answer, page
from .endpoint import EndpointContext
from .history import Version
from .query import Parameters, SessionQuery
from .render import session_bytes


def sessions_page(context: EndpointContext, asked: Parameters, *, empty: bool = False) -> Answer:
    """Answer with the next page of sessions in the order of updatedAtTime.

    Args:
        context: Where the answer comes from.
        asked: The request.
        empty: Answer with an empty page instead that skips nothing.
    """
    query = SessionQuery.read(asked, end_inclusive=context.profile.end_inclusive)
    place = context.cursors.place(asked, context.world.now)
    start = query.after if place is None else cast("int", place)
    size = context.draw_size()
    found = _find(context, query, start, size + 1)
    kept = 0 if empty else context.cut(len(found), size)
    shown = found[:kept]
    more = empty or kept < len(found)
    if shown:
        start = shown[-1].stamp
    elif found and not empty:
        # An empty page whose cursor moves as far as it can without skipping anything.
        start = found[0].stamp - 1
    external_ids = context.world.people.external_ids
    return page(
        (
            session_bytes(
                version,
                external_ids.get(version.session.driver_id, {}),
                show_events=query.show_events,
                show_external_ids=query.show_external_ids,
            )
            for version in shown
        ),
        cursor=_cursor(context, asked, query, start, more=more, data=bool(shown)),
        has_next=more or (query.until is None and context.profile.caught_up_has_next),
        served=tuple(version.key for version in shown),
    )


def _find(context: EndpointContext, query: SessionQuery, start: int, count: int) -> list[Version]:
    every = query.snapshot is not None or context.profile.versions == "every"
    feed = context.world.record.feed(start, drivers=query.drivers, every=every)
    if (until := query.until) is not None:
        feed = takewhile(lambda version: version.stamp <= until, feed)
    return list(islice(filter(query.wants, feed), count))


def _cursor(
    context: EndpointContext,
    asked: Parameters,
    query: SessionQuery,
    place: int,
    *,
    more: bool,
    data: bool,
) -> str:
    if not more:
        bounded = query.until is not None
        kind = context.profile.terminal_cursor if bounded else context.profile.caught_up_cursor
        if kind == "empty":
            return ""
        if kind == "same" and not data:
            return asked.after
    return context.cursors.make(place, asked, context.world.now)
