"""Who reads and changes assignments meanwhile."""

from random import Random

from coachstream import ApiError, Client, ClosedError, CoachStreamError
from tests.simulate.stage import Stage
from tests.support.virtual_time import pass_time


async def reassign(stage: Stage, client: Client, chance: Random) -> None:
    """Give drivers coaches, take them away, and read the list, again and again."""
    staff = stage.emulator.world
    while True:
        calm = stage.skies.calm  # what began before may still fail
        driver, coach = chance.choice(staff.drivers), chance.choice(staff.coaches)
        try:
            if chance.random() < 0.7:
                changed = await client.assignments.assign(driver, coach)
                _judge(stage, driver, coach, changed.coach_id)
                stage.journal.subjects["assign"] += 1
            else:
                changed = await client.assignments.unassign(driver)
                _judge(stage, driver, None, changed.coach_id)
                stage.journal.subjects["unassign"] += 1
            listed = [one async for one in client.assignments.list()]
        except ClosedError:
            return
        except CoachStreamError as error:
            if calm and not isinstance(error, ApiError):
                stage.journal.violate("calm after the storm", repr(error))
        else:
            stage.journal.subjects["list"] += 1
            if {one.driver.driver_id: one.coach_id for one in listed} != staff.assignments:
                stage.journal.violate("a list holds every assignment", driver)
        await pass_time(stage.plan.calm / 15 * chance.random())


def _judge(stage: Stage, driver: str, asked: str | None, told: str | None) -> None:
    now = stage.emulator.world.assignments.get(driver)
    stage.journal.note("assigned", driver, now)
    if not asked == told == now:
        stage.journal.violate("an assignment is what was asked for", (driver, asked, told, now))
