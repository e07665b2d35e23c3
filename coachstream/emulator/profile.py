"""Choices where Samsara's documentation is silent."""

from dataclasses import dataclass, fields
from typing import Literal, Self


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One possible behaviour of the real API where its documentation is silent.

    A service that works under all of ``Profile.every()`` does not depend on a guess.

    Attributes:
        caught_up_has_next: hasNextPage of an open-ended feed on the page with its last data, and on
            empty pages. It is not documented for the coaching endpoint. Samsara's training and
            qualification streams document that it is true whenever there is no endTime and the
            cursor is not empty.
        caught_up_cursor: endCursor of an open-ended feed without more data. "same" repeats the
            cursor that was sent. "new" is another spelling of the same position. "empty" is an
            empty string, also on the page with the last data. The OpenAPI description says both
            that a cursor is returned on every call and that it may be empty.
        terminal_cursor: endCursor on the last page of a list, or of a stream with an endTime.
            Samsara's vehicles and drivers endpoints were observed to send an empty one, its safety
            events stream one that can be resumed from.
        end_inclusive: Whether a session updated exactly at endTime is served; sibling streams
            exclude it.
        versions: Whether a session that was updated twice is served once, at its later position, or
            twice. The description says "feed of changes", but not whether older states can be read.
        error_bodies: Body format of 5xx; https://developers.samsara.com/docs/response-codes has
            described both.
        unknown_id_status: The status of a PUT for an unknown driver or coach; both are documented.
        repeated_keys: Whether ``driverIds=1&driverIds=2`` means ``driverIds=1,2`` or is refused
            with 400. The description declares the comma; the vendor's own SDKs repeat the key.
        cursors: Whether each answer has a cursor of its own, or the same place has the same cursor
            again. Both are opaque. The description's example, ``MjkY``, looks like a place. A
            cursor of a place is valid from when it was last handed out.
        pages_overlap: Whether a page begins with what the page before ended with, as if cursors
            were inclusive.
        spurious_refusals: Probability of a 400 for a good cursor of the sessions; asked again, it
            is accepted.
        date_header: Whether answers have a ``Date``; a proxy may remove it.
        short_pages: Probability of a short page before the last, as the pagination guide warns.
        empty_pages: Probability of an empty page with hasNextPage before one with data; the same
            warning.
    """

    caught_up_has_next: bool = False

    caught_up_cursor: Literal["same", "new", "empty"] = "same"

    terminal_cursor: Literal["kept", "empty"] = "empty"

    end_inclusive: bool = False

    versions: Literal["latest", "every"] = "latest"

    error_bodies: Literal["json", "text"] = "json"

    unknown_id_status: Literal[404, 400] = 404

    repeated_keys: Literal["join", "reject"] = "join"

    cursors: Literal["unique", "place"] = "unique"

    pages_overlap: bool = False

    spurious_refusals: float = 0.0

    date_header: bool = True

    short_pages: float = 0.0

    empty_pages: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.short_pages <= 1 and 0 <= self.empty_pages < 1):
            raise ValueError("short_pages must be from 0 to 1, empty_pages from 0 to less than 1")
        if not 0 <= self.spurious_refusals <= 1:
            raise ValueError("spurious_refusals must be from 0 to 1")

    def __str__(self) -> str:
        choices = ((field, getattr(self, field.name)) for field in fields(self))
        unusual = (f"{field.name}={choice}" for field, choice in choices if choice != field.default)
        return ",".join(unusual) or "default"

    @classmethod
    def every(cls) -> tuple[Self, ...]:
        """Return one profile per way to be caught up, and one per other choice.

        Use it as ``pytest.mark.parametrize("profile", Profile.every(), ids=str)``.
        """
        cursors: tuple[Literal["same", "new", "empty"], ...] = ("same", "new", "empty")
        caught_up = (
            cls(caught_up_has_next=has_next, caught_up_cursor=cursor)
            for has_next in (False, True)
            for cursor in cursors
        )
        return (
            *caught_up,
            cls(terminal_cursor="kept"),
            cls(end_inclusive=True),
            cls(versions="every"),
            cls(error_bodies="text"),
            cls(unknown_id_status=400),
            cls(repeated_keys="reject"),
            cls(cursors="place"),
            cls(cursors="place", caught_up_has_next=True),
            cls(pages_overlap=True),
            cls(pages_overlap=True, caught_up_has_next=True, caught_up_cursor="new"),
            cls(spurious_refusals=0.3),
            cls(date_header=False),
            cls(short_pages=0.5),
            cls(empty_pages=0.5),
        )
