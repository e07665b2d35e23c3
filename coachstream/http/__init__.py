"""One request to the API: where it goes, with which token, at what pace, and when it is retried.

It may import ``wire``, ``tasks``, ``telemetry`` and the modules at the top; ``feed``,
``sessions``, ``assignments`` and ``client`` import it. Only ``exchange`` and ``failures`` import
aiohttp's client, and only ``rate_limit`` aiolimiter. Entry: ``Transport``.
"""
