"""Bytes and values: what is requested from the API, and what its responses say.

Pure: no I/O, no clock, no event loop. It may import the modules at the top; everything above it may
import it. Entries: ``query``, ``pages``, ``assignments``, ``refusals`` (error responses).
"""
