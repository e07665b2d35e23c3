"""``client.sessions`` and the stream of sessions that it opens.

It may import ``progress``, ``feed``, ``http``, ``wire``, ``checkpoints``, ``tasks``, ``telemetry``
and the modules at the top; ``consumer`` and ``client`` import it. Entries: ``Sessions``,
``SessionStream``.
"""
