"""Bytes and values: what is asked of the API, and what its answers say.

Pure: no I/O, no clock, no event loop. It may import ``errors``, ``models`` and ``arguments``, and
everything above it may import it.
"""
