"""``consume()``: handlers run at the same time, in order per key, with retries and a ledger.

It may import ``sessions``, ``progress``, ``feed``, ``wire``, ``checkpoints``, ``observers``,
``tasks``, ``telemetry`` and the modules at the top; only the package's own ``__init__`` imports
it.
"""
