"""``client.assignments``: who coaches whom, and changing it.

It may import ``http``, ``wire``, ``tasks`` and the modules at the top; ``client`` imports it.
"""
