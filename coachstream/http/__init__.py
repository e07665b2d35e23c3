"""One request to the API: where it goes, with which token, at what pace, and when to try again.

It may import ``tasks``, ``wire`` and the modules at the top; ``feed``, ``sessions``,
``assignments`` and ``client`` import it. ``exchange`` alone meets aiohttp's client, ``rate_limit``
alone aiolimiter.
"""
