"""Profiles of PyTorch, JAX and TensorFlow as sessions that XProf reads, and the numbers of them beside the curves.

A window of steps is captured by the profiler of the framework (`profiler.py`, `window.py`; an adapter starts and stops it). What
it leaves behind becomes one XSpace in another process (`processing.py`), whose summary is logged at the first step of the window.
Nothing here imports a framework, nor XProf.
"""
