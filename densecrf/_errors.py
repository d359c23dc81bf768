"""Errors that are neither the caller's nor Python's."""

from __future__ import annotations


class CudaError(RuntimeError):
    """A call of CUDA failed: the message says which, and what CUDA says about it."""
