"""What Samsara's documentation leaves open, as choices."""

from dataclasses import dataclass, fields
from typing import Literal, Self


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One way the real API may behave where its documentation does not say.

    A service that works under all of ``Profile.every()`` does not depend on a guess.
    """

    caught_up_has_next: bool = False
    """hasNextPage of an open-ended feed on the page with its last data, and when it has none.

    The coaching endpoint does not say. Samsara's training and qualification streams document that
    it is true whenever there is no endTime and the cursor is not empty.
    """

    caught_up_cursor: Literal["same", "new", "empty"] = "same"
    """endCursor of an open-ended feed that has nothing more.

    "same" repeats the cursor that was sent, "new" is another spelling of the same place, "empty" is
    an empty string, also on the page with the last data. The OpenAPI description says both that a
    cursor is returned on every call and that it may be empty.
    """

    terminal_cursor: Literal["kept", "empty"] = "empty"
    """endCursor on the last page of what ends: a list, or a stream with an endTime.

    Samsara's vehicles and drivers have been seen to send an empty one, its safety events stream to
    send one that can be resumed from.
    """

    end_inclusive: bool = False
    """Whether a session updated exactly at endTime is served; sibling streams exclude it."""

    versions: Literal["latest", "every"] = "latest"
    """Whether a session that was updated twice is served once, at its later place, or twice.

    The description says "feed of changes", but not whether older states can be read again.
    """

    error_bodies: Literal["json", "text"] = "json"
    """What a 5xx carries; https://developers.samsara.com/docs/response-codes has said both."""

    unknown_id_status: Literal[404, 400] = 404
    """What a PUT answers for a driver or coach that does not exist; both are declared."""

    repeated_keys: Literal["join", "reject"] = "join"
    """Whether ``driverIds=1&driverIds=2`` means ``driverIds=1,2``, or is refused with 400.

    The description declares the comma; the vendor's own SDKs repeat the key.
    """

    short_pages: float = 0.0
    """How likely a page is cut short although more is there, as the pagination guide warns."""

    empty_pages: float = 0.0
    """How likely an empty page with hasNextPage comes before one with data; the same warning."""

    def __post_init__(self) -> None:
        if not (0 <= self.short_pages <= 1 and 0 <= self.empty_pages < 1):
            raise ValueError("probabilities, and with empty_pages=1 no page would ever hold data")

    def __str__(self) -> str:
        choices = ((field, getattr(self, field.name)) for field in fields(self))
        unusual = (f"{field.name}={choice}" for field, choice in choices if choice != field.default)
        return ",".join(unusual) or "default"

    @classmethod
    def every(cls) -> tuple[Self, ...]:
        """Return one profile per way to be caught up, and one per other choice: for parametrize.

        ``pytest.mark.parametrize("profile", Profile.every(), ids=str)``.
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
            cls(short_pages=0.5),
            cls(empty_pages=0.5),
        )
