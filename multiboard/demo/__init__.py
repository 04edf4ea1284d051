"""One small classifier trained on real handwritten digits in three frameworks, from the same weights, in one dashboard.

`multiboard demo` starts one process per framework (`train_torch`, `train_flax`, `train_keras`), each built from the public
interface alone, then reads the event files back and compares them.
"""
