"""GET /coaching/sessions/stream."""

from collections.abc import Iterator
from itertools import islice, takewhile
from typing import cast

from .endpoint import EndpointContext
from .history import Version
from .query import Parameters, SessionQuery
from .render import session_bytes
from .response import Response, page


def sessions_page(
    context: EndpointContext, parameters: Parameters, *, empty: bool = False
) -> Response:
    """Return the next page of sessions in the order in which they became visible.

    Args:
        context: The emulator's state.
        parameters: The request's parameters.
        empty: Return an empty page that skips nothing.
    """
    query = SessionQuery.parse(parameters, end_inclusive=context.profile.end_inclusive)
    position = context.cursors.position(parameters, context.world.now)
    context.cursors.refuse_at_times(parameters.after, context.profile.spurious_refusals)
    record = context.world.record
    start = query.after - record.most_ahead if position is None else cast("int", position)
    size = context.draw_size()
    found = list(islice(_find(context, query, start), size + 1))
    count = 0 if empty else context.draw_count(len(found), size)
    if not (count or empty) and found and position == found[0].stamp - 1:
        count = min(size, len(found))  # an empty page moves on, and can't from here
    shown = found[:count]
    more = empty or count < len(found)
    data = bool(shown)
    end = start
    if shown:
        end = shown[-1].stamp
    elif found and not empty:
        # The cursor of an empty page moves as far as it can without skipping anything.
        end = found[0].stamp - 1
    if context.profile.pages_overlap and position is not None and (shown or not found):
        last = islice(_find(context, query, start - 1), 1)
        shown = [*(version for version in last if version.stamp == start and not empty), *shown]
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
        cursor=_cursor(context, parameters, query, end, more=more, data=data),
        has_next=more or (query.until is None and context.profile.caught_up_has_next),
        served=tuple(version.key for version in shown),
    )


def _find(context: EndpointContext, query: SessionQuery, start: int) -> Iterator[Version]:
    """Yield what the query matches after a stamp."""
    every = query.snapshot is not None or context.profile.versions == "every"
    record = context.world.record
    feed = record.feed(start, drivers=query.drivers, every=every)
    if query.until is not None:
        last = query.until + record.most_behind
        feed = takewhile(lambda version: version.stamp <= last, feed)
    return filter(query.matches, feed)


def _cursor(
    context: EndpointContext,
    parameters: Parameters,
    query: SessionQuery,
    position: int,
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
            return parameters.after
    return context.cursors.make(position, parameters, context.world.now)
