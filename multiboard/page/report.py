"""Runs as one HTML file: it opens without a server and without a network, and shows what the dashboard's tab shows."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Final

from multiboard.page.archive import archive, zipped
from multiboard.page.bundle import STATIC, script, style
from multiboard.page.well_formed import well_formed

if TYPE_CHECKING:
    from multiboard.page.parts import Board

_START: Final = """
(async()=>{
const at=(id)=>document.getElementById(id);
if(typeof DecompressionStream==="undefined"){
at("state").textContent="This page needs a newer browser: Chrome 80, Firefox 113, Safari 16.4 or later.";
return;
}
try{
const bytes=Uint8Array.from(atob(at("program").textContent),(letter)=>letter.charCodeAt(0));
const unzipped=new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
const program=document.createElement("script");
program.textContent=await new Response(unzipped).text();
document.head.append(program);
await multiboard.startReport(at("archive"));
}catch(error){
(at("state")||document.body).textContent=`This page cannot be opened: ${error.message}. Is the file whole?`;
}
})();
"""
_STYLE: Final = """
(()=>{
const style=document.createElement("style");
style.textContent=%s;
document.head.append(style);
})();
"""
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="multiboard">
<title>{title}</title>
<!-- This page contains uPlot, {licence} -->
</head>
<body>
<p id="state">Opening the page.</p>
<noscript>This page shows runs of a training, and needs JavaScript for it.</noscript>
<script type="application/octet-stream" id="program">{program}</script>
<script type="application/octet-stream" id="archive">{archive}</script>
<script>{start}</script>
</body>
</html>
"""
_POLICY: Final = (
    "default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data: blob:; media-src data: blob:; "
    "base-uri 'none'; form-action 'none'"
)


def report(board: Board, title: str | None = None) -> str:
    """Return a page that holds everything it shows; the same runs make the same page.

    Only two scripts can run on it, which its policy knows by their hashes, whatever the runs are called.

    Args:
        board: the runs; its `limits` say how much of them the page gets.
        title: of the page; None names the runs.
    """
    program = _program()
    return _PAGE.format(
        policy=_POLICY.format(scripts=" ".join(map(_hash, (program, _START)))),
        title=escape(well_formed(title or _title(board))),
        licence=(STATIC / "vendor" / "uplot.LICENSE").read_text("utf-8").strip(),
        program=zipped(program.encode()),
        archive=archive(board),
        start=_START,
    )


@cache
def _program() -> str:
    """Return the script of the page with its style sheet."""
    return script() + _STYLE % json.dumps(style())


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _title(board: Board) -> str:
    names = board.names
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""  # noqa: PLR2004  # a title is one line
    return f"{' · '.join(names[:4])}{more}"
