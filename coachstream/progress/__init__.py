"""Up to which page everything is settled, and saving that in a checkpoint store.

It may import ``feed``, ``wire``, ``checkpoints``, ``tasks``, ``telemetry`` and the modules at
the top; ``sessions`` and ``consumer`` import it. Entries: ``Frontier`` and ``Checkpointer``.
"""
