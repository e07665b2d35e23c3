"""Sessions to handlers: many at once, a driver's in order, and what becomes of each.

It may import ``sessions``, ``progress``, ``feed``, ``wire``, ``checkpoints``, ``observers`` and the
modules at the top; only the package's own ``__init__`` imports it.
"""
