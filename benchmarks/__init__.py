"""How fast, how fresh and how frugal coachstream is, each figure beside a rival.

``python -m benchmarks`` runs them all; README.md says what each figure means.
"""
