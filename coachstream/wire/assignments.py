"""Decodes the two forms of an assignment: an item of the list, and the response to a change."""

import msgspec

from ..models import AssignmentChange, CoachAssignment, Driver, Model, Pagination
from .lenient import (
    DECODE_ERRORS,
    LoosePagination,
    decode_json,
    mended,
    raise_undecodable,
    repaired_text,
)


class _ListResponse(Model, frozen=True, kw_only=True):
    data: tuple[CoachAssignment, ...] = ()
    pagination: LoosePagination


class _ChangeResponse(Model, frozen=True):
    data: AssignmentChange


def assignments_page(body: bytes) -> tuple[tuple[CoachAssignment, ...], Pagination]:
    """Decode a page of assignments.

    Raises:
        UndecodableError: the body is not one.
    """
    try:
        response = msgspec.convert(mended(decode_json(repaired_text(body))), _ListResponse)
    except DECODE_ERRORS as error:
        raise_undecodable("a page of assignments", error, body)
    pagination = response.pagination
    return tuple(map(_without_empty_coach, response.data)), Pagination(
        end_cursor=pagination.end_cursor or "", has_next_page=pagination.has_next_page
    )


def assignment_change(body: bytes) -> CoachAssignment:
    """Decode the response to a change of an assignment.

    Raises:
        UndecodableError: the body is not one.
    """
    try:
        change = msgspec.convert(mended(decode_json(repaired_text(body))), _ChangeResponse).data
    except DECODE_ERRORS as error:
        raise_undecodable("a changed assignment", error, body)
    return CoachAssignment(
        driver=Driver(driver_id=change.driver_id),
        coach_id=change.coach_id or None,
        created_at_time=change.created_at_time,
        updated_at_time=change.updated_at_time,
    )


def _without_empty_coach(assignment: CoachAssignment) -> CoachAssignment:
    """Replace an empty coach id by None ("will be empty if no driver coach is assigned")."""
    if assignment.coach_id == "":
        return msgspec.structs.replace(assignment, coach_id=None)
    return assignment
