"""GET and PUT /coaching/driver-coach-assignments."""

from itertools import islice
from typing import cast

import msgspec

from .clock import stamp_text
from .content import Json
from .endpoint import EndpointContext
from .people import Assignment
from .query import BadRequestError, Parameters
from .response import Response, error, page


def assignments_page(
    context: EndpointContext, parameters: Parameters, *, empty: bool = False
) -> Response:
    """Return the next page of the drivers that have a coach, with their coaches.

    Args:
        context: The emulator's state.
        parameters: The request's parameters. driverIds may hold external ids, ``key:value``.
        empty: Return an empty page that skips nothing.
    """
    people = context.world.people
    show_external_ids = parameters.flag("includeExternalIds")
    references, coaches = parameters.ids("driverIds"), parameters.ids("coachIds")
    drivers = None if references is None else {people.find(one) for one in references}
    position = cast("str", context.cursors.position(parameters, context.world.now) or "")
    matching = (
        assignment
        for assignment in people.after(position)
        if (drivers is None or assignment.driver_id in drivers)
        and (coaches is None or assignment.coach_id in coaches)
    )
    size = context.draw_size()
    found = list(islice(matching, size + 1))
    count = 0 if empty else context.draw_count(len(found), size)
    if not (count or empty) and context.profile.cursors == "place":
        count = min(size, len(found))  # an empty page moves on, and can't here
    more = empty or count < len(found)
    shown = found[:count]
    if shown:
        position = shown[-1].driver_id
    last = not more and context.profile.terminal_cursor == "empty"
    return page(
        (_item(context, assignment, show_external_ids=show_external_ids) for assignment in shown),
        cursor="" if last else context.cursors.make(position, parameters, context.world.now),
        has_next=more,
    )


def put_assignment(context: EndpointContext, parameters: Parameters, request_id: str) -> Response:
    """Assign a coach to a driver, or remove the coach if the request names none.

    All parameters are in the query; the body is not read. Here, driverId must be Samsara's id.
    """
    driver, coach = parameters.values.get("driverId"), parameters.values.get("coachId")
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
    return Response(body=msgspec.json.encode({"data": data}))


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
