"""GET and PUT /coaching/driver-coach-assignments."""

from itertools import islice
from typing import cast

import msgspec

from .answer import Answer, error, page
from .clock import stamp_text
from .content import Json
from .endpoint import EndpointContext
from .people import Assignment
from .query import BadRequestError, Parameters


def assignments_page(context: EndpointContext, asked: Parameters, *, empty: bool = False) -> Answer:
    """Answer with the next page of the drivers that have a coach, and who that is.

    Args:
        context: Where the answer comes from.
        asked: The request. Its drivers may be named by external id, ``key:value``.
        empty: Answer with an empty page instead that skips nothing.
    """
    people = context.world.people
    show_external_ids = asked.flag("includeExternalIds")
    named, coaches = asked.ids("driverIds"), asked.ids("coachIds")
    drivers = None if named is None else {people.find(name) for name in named}
    place = cast("str", context.cursors.place(asked, context.world.now) or "")
    wanted = (
        assignment
        for assignment in people.after(place)
        if (drivers is None or assignment.driver_id in drivers)
        and (coaches is None or assignment.coach_id in coaches)
    )
    size = context.draw_size()
    found = list(islice(wanted, size + 1))
    kept = 0 if empty else context.cut(len(found), size)
    more = empty or kept < len(found)
    shown = found[:kept]
    if shown:
        place = shown[-1].driver_id
    last = not more and context.profile.terminal_cursor == "empty"
    return page(
        (_item(context, assignment, show_external_ids=show_external_ids) for assignment in shown),
        cursor="" if last else context.cursors.make(place, asked, context.world.now),
        has_next=more,
    )


def put_assignment(context: EndpointContext, asked: Parameters, request_id: str) -> Answer:
    """Give a driver a coach, or take the coach away when the request names none.

    Everything is in the query; a body is not read. Drivers are known here by Samsara's id alone.
    """
    driver, coach = asked.values.get("driverId"), asked.values.get("coachId")
    if not driver:
        raise BadRequestError('"driverId" is missing from query string')
    if coach == "":
        raise BadRequestError("Invalid value for parameter.")
    world = context.world
    if driver not in world.people.external_ids or (coach and coach not in world.people.coaches):
        status = context.profile.unknown_id_status
        message = "Invalid value for parameter." if status == 400 else None
        return error(status, message, request_id=request_id)
    if coach:
        world.assign(driver, coach)
    else:
        world.unassign(driver)
    assignment = world.people.assignment(driver)
    data: Json = {"driverId": driver, **_common(assignment)}
    return Answer(body=msgspec.json.encode({"data": data}))


def _item(context: EndpointContext, assignment: Assignment, *, show_external_ids: bool) -> bytes:
    driver: Json = {"driverId": assignment.driver_id}
    external_ids = context.world.people.external_ids.get(assignment.driver_id)
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
