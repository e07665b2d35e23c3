"""Pages of the feed, one after another, for ever: asked for ahead, followed, read in parallel.

What comes out are readings; who wants the sessions, and when they are settled, is decided above.
It may import ``http``, ``wire`` and the modules at the top; ``progress``, ``sessions`` and
``consumer`` import it.
"""
