"""The kinds beyond scalar, histogram, image and text: one file each.

Each file holds the record of its kind; `take`, called on the caller's line, which checks and keeps what must not change; and the
record's `expand`, called in the writer thread, which computes and returns plain values. The methods of `Run` are in
`multiboard.surface`.
"""
