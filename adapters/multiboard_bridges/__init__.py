"""Bridges to libraries that log for themselves, one file each; none imports another, nor an adapter.

- `accelerate`: a tracker for Accelerate, `import multiboard.accelerate`.
- `optuna`: the trials of a study, `import multiboard.optuna`.
- `stable_baselines3`: an output format for its logger, and a callback, `import multiboard.stable_baselines3`.
- `wandb`: sends scalars on to W&B, `multiboard.Run(..., mirror="wandb")`.
"""
