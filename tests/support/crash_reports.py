"""All the text that a crash report could show, to be searched for the token."""

import traceback
from collections.abc import Iterable
from pathlib import Path

from coachstream import CoachStreamError, Event

_HERE = str(Path(__file__).parents[1])


def everything_shown(error: BaseException) -> str:
    """Return all the text of an exception, and of its causes and contexts.

    This includes the variables of every frame except those of tests, which may know the token.
    """
    report = traceback.TracebackException.from_exception(error, capture_locals=True)
    shown = []
    for link in _chain(report):
        frames = [frame for frame in link.stack if not frame.filename.startswith(_HERE)]
        link.stack = traceback.StackSummary.from_list(frames)
        shown += link.format(chain=False)
    for cause in _causes(error):
        shown += [str(cause), repr(cause), repr(cause.args), repr(vars(cause))]
        for frame, _ in traceback.walk_tb(cause.__traceback__):
            if not frame.f_code.co_filename.startswith(_HERE):
                shown += [repr(value) for value in frame.f_locals.values()]
    return "\n".join(shown)


def everything_in_events(events: Iterable[Event]) -> str:
    """Return all the text of events, including their errors."""
    shown = []
    for event in events:
        shown.append(repr(event))
        error = getattr(event, "error", None)
        if isinstance(error, CoachStreamError):
            shown.append(everything_shown(error))
    return "\n".join(shown)


def _causes(error: BaseException) -> list[BaseException]:
    causes, link = [], [error]
    while link:
        one = link.pop()
        if one not in causes:
            causes.append(one)
            link += [next_ for next_ in (one.__cause__, one.__context__) if next_ is not None]
    return causes


def _chain(report: traceback.TracebackException) -> list[traceback.TracebackException]:
    chain, link = [], [report]
    while link:
        one = link.pop()
        chain.append(one)
        link += [next_ for next_ in (one.__cause__, one.__context__) if next_ is not None]
    return chain
