"""Reading the pages of the feed: prefetching, following, reading windows in parallel.

It returns readings; delivering and settling them is the work of ``sessions`` and ``consumer``. It
may import ``http``, ``wire``, ``tasks``, ``telemetry`` and the modules at the top; ``progress``,
``sessions`` and ``consumer`` import it. Entry: ``BackfillReader``, which uses the other readers.
"""
