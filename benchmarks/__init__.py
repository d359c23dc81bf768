"""Speed against the peers; `python benchmarks/crf_speed.py` is the one to run."""
