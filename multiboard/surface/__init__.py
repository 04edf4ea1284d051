"""The methods of `Run` that log, in four files by what they are for.

`Run` inherits them only so that no file is long. Scalars are looked at in `scalars`; the others hand everything to
`multiboard.kinds`.
"""
