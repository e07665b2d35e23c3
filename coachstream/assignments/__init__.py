"""``client.assignments``: who coaches whom, and changing it.

It may import ``http``, ``wire`` and the modules at the top; ``client`` imports it.
"""
