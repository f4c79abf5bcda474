"""What the same search takes elsewhere: python -m benchmarks.run, or make bench."""
