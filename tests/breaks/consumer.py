"""Deliberate breaks of ``consumer``."""

from tests.breaks.mutation import Mutation

CONSUME = ("tests/consumer/test_consume.py",)
FAILURES = ("tests/consumer/test_failures.py",)
HANDLERS = ("tests/consumer/test_handlers.py",)
REPLAY = ("tests/consumer/test_replay.py",)
WATCH = ("tests/consumer/test_watch.py",)

MUTATIONS = (
    Mutation(
        "a handler that is not async stops the consumer",
        "consumer/workers",
        "        except NotAsyncError:\n",
        "        except GeneratorExit:\n",
        HANDLERS,
    ),
    Mutation(
        "a session is settled only after it was handled",
        "consumer/workers",
        "        try:\n            await self._handler(job.session)\n",
        "        try:\n            self._on_handled(job)\n"
        "            await self._handler(job.session)\n",
        CONSUME,
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
        "consumer/workers",
        "                    return  # it has hidden its cancellation, and may not be done\n",
        "                    pass\n",
        HANDLERS,
    ),
    Mutation(
        "a handler that cancels itself has failed",
        "consumer/workers",
        "                await self._clock.sleep(0)\n",
        "",
        CONSUME,
    ),
    Mutation(
        "an error out of a cancelled handler is no failure",
        "consumer/workers",
        "                return  # then it is no failure, whatever the handler has raised\n",
        "                pass\n",
        HANDLERS,
    ),
    Mutation(
        "once cancelled, no handler begins",
        "consumer/workers",
        "while not self._stopped and caller.cancelling() <= cancellations:",
        "while not self._stopped:",
        HANDLERS,
    ),
    Mutation(
        "an earlier cancellation that was caught does not count",
        "consumer/tasks",
        "        self.cancellations = caller.cancelling()\n",
        "        self.cancellations = 0\n",
        HANDLERS,
    ),
    Mutation(
        "a handler is cancelled once and may finish its clean-up",
        "consumer/tasks",
        "        await cancel_all(self._tasks, self._runtime)\n",
        "        for task in self._tasks:\n"
        "            task.cancel()\n"
        "        await cancel_all(self._tasks, self._runtime)\n",
        HANDLERS,
    ),
    Mutation(
        "context variables do not leak into the next call",
        "consumer/workers",
        " or _differs_from(context):",
        ":",
        HANDLERS,
    ),
    Mutation(
        "a fresh worker has the caller's context",
        "consumer/tasks",
        "self._run(work), context=self._context.copy()",
        "self._run(work)",
        HANDLERS,
    ),
    Mutation(
        "handlers that never wait leave the loop its turn",
        "consumer/workers",
        "        return now - self._held_since >= SLICE\n",
        "        return False\n",
        HANDLERS,
    ),
    Mutation(
        "the loop's turn does not come after each quick handler",
        "consumer/workers",
        "        return now - self._held_since >= SLICE\n",
        "        return True\n",
        HANDLERS,
    ),
    Mutation(
        "a source's CancelledError is no end of the stream",
        "consumer/tasks",
        "            if not self.cancelled and asyncio.current_task() not in self._stopped:\n",
        "            if False:\n",
        FAILURES,
    ),
    Mutation(
        "the first error of a consumer counts",
        "consumer/run",
        "        if self._failure is None:\n            self._failure = error\n",
        "        self._failure = error\n",
        FAILURES,
    ),
    Mutation(
        "by default a handler is tried five times",
        "consumer/consume",
        "RetryPolicy(attempts=5, first_delay=1.0)",
        "RetryPolicy(first_delay=1.0)",
        FAILURES,
    ),
    Mutation(
        "what the ledger did not take is not counted",
        "consumer/failures",
        '        outcome: Outcome = "parked"',
        '        self.given_up += 1\n        outcome: Outcome = "parked"',
        FAILURES,
    ),
    Mutation(
        "a start without success gives up a handful",
        "consumer/failures",
        "        least = HANDFUL if judged < JUDGED else 0\n",
        "        least = JUDGED if judged < JUDGED else 0\n",
        FAILURES,
    ),
    Mutation(
        "an error whose text raises can be stored",
        "text",
        "        return str(error)\n    except Exception as failure:",
        "        return str(error)\n    except KeyError as failure:",
        FAILURES,
    ),
    Mutation(
        "an error with half a surrogate pair can be stored",
        "consumer/ledger",
        '    return description.encode(errors="replace").decode()',
        "    return description",
        FAILURES,
    ),
    Mutation(
        "what is stored of an error is bounded",
        "consumer/ledger",
        "[:LONGEST_ERROR]",
        "",
        FAILURES,
    ),
    Mutation(
        "a key that raises is a failure of its session",
        "consumer/run",
        "except Exception as error:  # noqa: BLE001  # of the key",
        "except MalformedSessionError as error:  # of the key",
        FAILURES,
    ),
    Mutation(
        "a ledger that hangs is reported",
        "consumer/failures",
        "add = partial(supervised, partial(ledger.add, failed), what, self._runtime)",
        "add = partial(ledger.add, failed)",
        WATCH,
    ),
    Mutation(
        "a ledger that is away is asked again",
        "consumer/failures",
        "        await self._asking.ask(add, report)\n",
        "        await add()\n",
        CONSUME,
    ),
    Mutation(
        "the watch does not depend on a pause of reading",
        "consumer/run",
        "        self._watch.begin()\n",
        "        if self._bounds.are_exceeded(self._frontier):\n            self._watch.begin()\n",
        WATCH,
    ),
    Mutation(
        "a session that waits for another attempt is watched",
        "consumer/run",
        "            yield self._frontier.front\n",
        "            pass\n",
        WATCH,
    ),
    Mutation(
        "a handler behind the front is watched",
        "consumer/run",
        "            yield job, job.attempt\n",
        "            pass\n",
        WATCH,
    ),
    Mutation(
        "handlers that go on again are reported",
        "consumer/watch",
        "            self._on_moved(self._reported + LOOK)\n",
        "",
        WATCH,
    ),
    Mutation(
        "the watch ends when everything is settled",
        "consumer/watch",
        "        if self._looks:\n            self._timer",
        "        if True:\n            self._timer",
        WATCH,
    ),
    Mutation(
        "a replay removes a session only when it is handled",
        "consumer/replay",
        "            await supervised(partial(handler, session),",
        "            await ledger.remove(one)\n"
        "            await supervised(partial(handler, session),",
        REPLAY,
    ),
    Mutation(
        "a replay keeps a driver's order",
        "consumer/replay",
        "            failed_lanes |= lane\n",
        "",
        REPLAY,
    ),
    Mutation(
        "a replay hands over a session's own JSON",
        "consumer/replay",
        "keep_raw=failed.has_own_json",
        "keep_raw=False",
        REPLAY,
    ),
    Mutation(
        "a replay calls handlers in contexts of their own",
        "consumer/replay",
        'await supervised(partial(handler, session), "the handler of a replay", runtime)',
        "await handler(session)",
        REPLAY,
    ),
)
