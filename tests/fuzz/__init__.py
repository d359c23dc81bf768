"""Targets for coverage-guided fuzzing: plain functions of bytes, `targets.TARGETS`; see README.md."""
