"""Deliberate breaks of ``consumer``."""

from tests.breaks.mutation import Mutation

MUTATIONS = (
    Mutation(
        "a session is settled only after it was handled",
        "consumer/run",
        "        try:\n            await self._call(job.session)\n",
        "        try:\n            self._settle(job.page, job.index)\n"
        "            await self._call(job.session)\n",
        ("tests/consumer/test_consume.py",),
    ),
    Mutation(
        "a driver's sessions are handled one at a time",
        "consumer/lanes",
        "        if key not in self._waiting:\n            self._waiting[key] = None\n",
        "        if True:\n            self._waiting[key] = None\n",
        ("tests/consumer/test_lanes.py",),
    ),
    Mutation(
        "a cancelled handler settles nothing",
        "consumer/run",
        "            if being_cancelled():\n                return  # then",
        "            if being_cancelled():\n"
        "                self._settle(job.page, job.index)  # then",
        ("tests/consumer/test_consume.py",),
    ),
    Mutation(
        "a handler that cancels itself has failed",
        "consumer/run",
        "            if was_cancelled():",
        "            if was_cancelled() and being_cancelled():",
        ("tests/consumer/test_consume.py",),
    ),
)
