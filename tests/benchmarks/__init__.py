"""What the monitor costs, as ratios within one run: ``python -m tests.benchmarks [NAME ...]``, or ``make bench``."""
