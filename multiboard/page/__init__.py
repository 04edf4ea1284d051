"""The page that shows runs side by side: what it shows as data, and the one file that a report is.

The dashboard's tab, the report and the notebook have one front end, below `static`. It asks for parts by name
(`multiboard.page.parts`), which travel as one block of bytes each (`multiboard.page.pack`).
"""
