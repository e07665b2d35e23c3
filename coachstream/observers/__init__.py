"""What listens to events: the default observer logs them.

It may import ``telemetry`` and what lies below that; ``client`` and ``consumer`` import it.
"""
