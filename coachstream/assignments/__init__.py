"""``client.assignments``: lists and changes the coaches of drivers.

It imports ``http``, ``wire`` and the modules at the top; ``client`` imports it.
"""
