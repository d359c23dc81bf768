"""The parts of docs/results.md, which benchmarks/real_data.py puts together."""
