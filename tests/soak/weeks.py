"""Weeks of virtual time in one process: what leaks a little with each poll shows in the end."""

import asyncio
from datetime import timedelta
from random import Random

from coachstream import Client, CoachingSession, Event, consume
from coachstream.emulator import Emulator, Profile, World
from coachstream.telemetry import HandlerFailed, RetryScheduled, SaveFailed
from coachstream.testing import LoopClock, pass_time
from tests.feed import LONG_AGO, TOKEN
from tests.soak.figures import Figure, Soaked, descriptors, objects, tasks
from tests.simulate import loop
from tests.simulate.journal import Journal
from tests.simulate.network import connected
from tests.simulate.plan import Weather, draw

WEEK = timedelta(weeks=1).total_seconds()
GROWTH = {"objects": 2000.0, "tasks": 3.0, "descriptors": 1.0}
"""How much more there may be of each in the last quarter than after warming up."""
SESSIONS = 400
"""That there are; they go on changing, so that the world does not grow."""
