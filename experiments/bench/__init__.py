"""The benchmark: our grid, the bounds of the machine, and the rival, in one run.

``python -m experiments.bench [--rival]`` (``make bench``, ``make bench RIVAL=1``) prints a table and writes
docs/benchmarks.md. All figures of one run are from one machine in one quarter of an hour; only their ratios mean anything
elsewhere.
"""
