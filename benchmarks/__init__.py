"""Speed, freshness and memory use of coachstream, each figure compared with a rival.

``python -m benchmarks`` runs all of them; README.md explains each figure.
"""
