"""Ours against the part a user would pick instead, in turn, in one process.

`python -m benchmarks` runs all, `--only NAME` one; each checks that both give the same result, and
prints times with their ratio and its spread, never a bare time.
"""
