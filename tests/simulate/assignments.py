"""Reads and changes assignments while the subjects run."""

from random import Random

from coachstream import ApiError, Client, ClosedError, CoachStreamError
from tests.simulate.context import Context
from tests.support.virtual_time import pass_time


async def change_assignments(context: Context, client: Client, chance: Random) -> None:
    """Assign and unassign coaches and read the list, until the client is closed."""
    world = context.emulator.world
    while True:
        faults_over = context.faults.over  # an operation that started before may still fail
        driver, coach = chance.choice(world.drivers), chance.choice(world.coaches)
        try:
            if chance.random() < 0.7:
                changed = await client.assignments.assign(driver, coach)
                _check(context, driver, coach, changed.coach_id)
                context.journal.subjects["assign"] += 1
            else:
                changed = await client.assignments.unassign(driver)
                _check(context, driver, None, changed.coach_id)
                context.journal.subjects["unassign"] += 1
            listed = [one async for one in client.assignments.list()]
        except ClosedError:
            return
        except CoachStreamError as error:
            if faults_over and not isinstance(error, ApiError):
                context.journal.violation("no errors after the last fault", repr(error))
        else:
            context.journal.subjects["list"] += 1
            if {one.driver.driver_id: one.coach_id for one in listed} != world.assignments:
                context.journal.violation("a list holds every assignment", driver)
        await pass_time(context.plan.faults_end / 15 * chance.random())


def _check(context: Context, driver: str, requested: str | None, returned: str | None) -> None:
    now = context.emulator.world.assignments.get(driver)
    context.journal.note("assigned", driver, now)
    if not requested == returned == now:
        context.journal.violation(
            "an assignment is what was requested", (driver, requested, returned, now)
        )
