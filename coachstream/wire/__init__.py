"""Encodes requests and decodes responses of the API.

Pure: no I/O, no clock, no event loop. It imports only ``errors``, ``models`` and ``arguments``;
every package above may import it.
"""
