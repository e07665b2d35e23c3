"""The two shapes of an assignment: an item of the list, and the answer to a change. Pure."""

import msgspec

from ..models import AssignmentChange, CoachAssignment, Driver, Model, Pagination
from .lenient import UNREADABLE, LoosePagination, decode_json, refuse, without_blanks


class _AssignmentsAnswer(Model, frozen=True, kw_only=True):
    data: tuple[CoachAssignment, ...] = ()
    pagination: LoosePagination


class _ChangeAnswer(Model, frozen=True):
    data: AssignmentChange


def assignments_page(body: bytes) -> tuple[tuple[CoachAssignment, ...], Pagination]:
    """Read a page of assignments.

    Raises:
        UndecodableError: it is not one.
    """
    try:
        answer = msgspec.convert(without_blanks(decode_json(body)), _AssignmentsAnswer)
    except UNREADABLE as error:
        refuse("a page of assignments", error, body)
    pagination = answer.pagination
    return tuple(_with_real_coach(one) for one in answer.data), Pagination(
        end_cursor=pagination.end_cursor or "", has_next_page=pagination.has_next_page
    )


def assignment_change(body: bytes) -> CoachAssignment:
    """Read the answer to a change of assignment.

    Raises:
        UndecodableError: it is not one.
    """
    try:
        change = msgspec.convert(without_blanks(decode_json(body)), _ChangeAnswer).data
    except UNREADABLE as error:
        refuse("a changed assignment", error, body)
    return CoachAssignment(
        driver=Driver(driver_id=change.driver_id),
        coach_id=change.coach_id or None,
        created_at_time=change.created_at_time,
        updated_at_time=change.updated_at_time,
    )


def _with_real_coach(assignment: CoachAssignment) -> CoachAssignment:
    """Read an empty coach id as none ("will be empty if no driver coach is assigned")."""
    if assignment.coach_id == "":
        return msgspec.structs.replace(assignment, coach_id=None)
    return assignment
