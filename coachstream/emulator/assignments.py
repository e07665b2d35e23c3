"""GET and PUT /coaching/driver-coach-assignments."""

from itertools import islice
from typing import cast

import msgspec

from .answer import Answer, error, page
from .clock import stamp_text
from .content import Json
from .desk import Desk
from .query import BadRequestError, Parameters
from .staff import Assignment


def assignments_page(desk: Desk, asked: Parameters, *, empty: bool = False) -> Answer:
    """Answer with the next page of the drivers that have a coach, and who that is.

    Args:
        desk: Where the answer comes from.
        asked: The request. Its drivers may be named by external id, ``key:value``.
        empty: Answer with an empty page instead that skips nothing.
    """
    staff = desk.world.staff
    show_external_ids = asked.flag("includeExternalIds")
    named, coaches = asked.ids("driverIds"), asked.ids("coachIds")
    drivers = None if named is None else {staff.find(name) for name in named}
    place = cast("str", desk.cursors.place(asked, desk.world.now) or "")
    wanted = (
        assignment
        for assignment in staff.after(place)
        if (drivers is None or assignment.driver_id in drivers)
        and (coaches is None or assignment.coach_id in coaches)
    )
    size = desk.draw_size()
    found = list(islice(wanted, size + 1))
    kept = 0 if empty else desk.cut(len(found), size)
    more = empty or kept < len(found)
    shown = found[:kept]
    if shown:
        place = shown[-1].driver_id
    last = not more and desk.profile.terminal_cursor == "empty"
    return page(
        (_item(desk, assignment, show_external_ids=show_external_ids) for assignment in shown),
        cursor="" if last else desk.cursors.make(place, asked, desk.world.now),
        has_next=more,
    )


def put_assignment(desk: Desk, asked: Parameters, request_id: str) -> Answer:
    """Give a driver a coach, or take the coach away when the request names none.

    Everything is in the query; a body is not read. Drivers are known here by Samsara's id alone.
    """
    driver, coach = asked.values.get("driverId"), asked.values.get("coachId")
    if not driver:
        raise BadRequestError('"driverId" is missing from query string')
    if coach == "":
        raise BadRequestError("Invalid value for parameter.")
    world = desk.world
    if driver not in world.staff.external_ids or (coach and coach not in world.staff.coaches):
        status = desk.profile.unknown_id_status
        message = "Invalid value for parameter." if status == 400 else None
        return error(status, message, request_id=request_id)
    if coach:
        world.assign(driver, coach)
    else:
        world.unassign(driver)
    assignment = world.staff.assignment(driver)
    data: Json = {"driverId": driver, **_common(assignment)}
    return Answer(body=msgspec.json.encode({"data": data}))


def _item(desk: Desk, assignment: Assignment, *, show_external_ids: bool) -> bytes:
    driver: Json = {"driverId": assignment.driver_id}
    external_ids = desk.world.staff.external_ids.get(assignment.driver_id)
    if show_external_ids and external_ids:
        driver["externalIds"] = external_ids
    return msgspec.json.encode({"driver": driver, **_common(assignment)})


def _common(assignment: Assignment) -> Json:
    common: Json = {
        "createdAtTime": stamp_text(assignment.created),
        "updatedAtTime": stamp_text(assignment.updated),
    }
    if assignment.coach_id is not None:
        common["coachId"] = assignment.coach_id
    return common
