"""Observers of events; the default one logs them.

This package imports only ``telemetry`` and the modules below that. ``client`` and ``consumer``
import it.
"""
