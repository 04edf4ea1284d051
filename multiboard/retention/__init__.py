"""Smaller run directories: event files merged into one, media and histograms thinned out, old runs deleted.

A run that somebody may still write is left alone (`lives`), and whatever happens in between, both loaders of TensorBoard and
`multiboard.read` find either what was there before or what is there after (`rewriting`).
"""
