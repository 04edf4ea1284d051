"""What is behind `SummaryWriter`: its runs, the file writer that other loggers reach for, and methods in files by their use.

`SummaryWriter` inherits the methods only so that no file is long: each is one call of a `Run`.
"""
