"""The loop: ``client.sessions`` and the stream it opens.

It may import ``progress``, ``feed``, ``http``, ``wire``, ``checkpoints`` and the modules at the
top; ``consumer`` and ``client`` import it.
"""
