"""What a sign-in costs: ours beside a hand-written floor and the peers, in one run. ``python -m benchmarks --help``."""
