"""Decodes the two forms of an assignment: an item of the list, and the response to a change."""

from collections.abc import Sequence

import msgspec

from ..errors import MalformedAssignmentError
from ..models import AssignmentChange, CoachAssignment, Driver, Model, Pagination
from .lenient import (
    DECODE_ERRORS,
    decode_json,
    mended,
    raise_undecodable,
    repaired_text,
)
from .records import split_page

AssignmentEntry = CoachAssignment | MalformedAssignmentError
"""An assignment of a page, or the error that explains why it can't be decoded."""


class _ChangeResponse(Model, frozen=True):
    data: AssignmentChange


class _OfADriver(Model, frozen=True):
    driver: Driver


_of_a_driver = msgspec.json.Decoder(_OfADriver)
_strict_assignment = msgspec.json.Decoder(CoachAssignment)


def assignments_page(body: bytes) -> tuple[Sequence[AssignmentEntry], Pagination]:
    """Decode a page of assignments, one by one.

    Raises:
        UndecodableError: the body is not one.
    """
    records, pagination = split_page(body, "a page of assignments")
    return [_assignment(raw) for raw in records], pagination


def _assignment(raw: bytes) -> AssignmentEntry:
    try:
        assignment = _strict_assignment.decode(raw)
    except DECODE_ERRORS:
        try:
            assignment = msgspec.convert(mended(decode_json(raw)), CoachAssignment)
        except DECODE_ERRORS as error:
            return MalformedAssignmentError(str(error), raw=raw, driver_id=_driver_id(raw))
    if assignment.coach_id == "":  # "will be empty if no driver coach is assigned"
        return msgspec.structs.replace(assignment, coach_id=None)
    return assignment


def _driver_id(raw: bytes) -> str | None:
    """Return the driver of an assignment of which something else can't be decoded."""
    try:
        return _of_a_driver.decode(raw).driver.driver_id
    except DECODE_ERRORS:
        return None


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
