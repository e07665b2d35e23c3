"""The collaborators that every constructor is given, for tests of one module alone."""

from random import Random

from coachstream import Clock, Observer, SystemClock
from coachstream.tasks import BackgroundTasks, Runtime


def new_runtime(observe: Observer = lambda _: None, *, clock: Clock | None = None) -> Runtime:
    return Runtime(
        clock=clock or SystemClock(), random=Random(1), observe=observe, tasks=BackgroundTasks()
    )
