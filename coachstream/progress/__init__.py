"""How far the work is done without a gap, and saving that in a checkpoint store.

It may import ``feed``, ``wire``, ``checkpoints`` and the modules at the top; ``sessions`` and
``consumer`` import it.
"""
