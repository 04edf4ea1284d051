"""The methods of `Run` beyond scalars, histograms, images and texts, in three files by what they are for.

`Run` inherits them only so that no file is long: they check nothing themselves and hand everything to `multiboard.kinds`.
"""
