"""Texts that would drive a terminal, or pass for another text or another line of ours."""

from __future__ import annotations

EVIL = (
    "\x1b[2J\x1b[31mRED",
    "\x1b]8;;http://evil.example/\x07click\x1b]8;;\x07",
    "\x1b]0;pwned\x07",
    "\x9b31mRED\x9d0;pwned\x9c",
    "safe \u202eexe.fdp\u202c title",
    "\u2066a\u2069 \u200f",
    "hi\U000e0069\U000e0067\U000e006e",
    "a\u200bb\u2060c\ufeff",
    "x\nExactly once: 250 raw records; missing 0, doubled 0",
    "x\r\n0/8  forged",
    "x\nnewsieve: all is well",
    "a\x7f\x08\x08b",
    "a\u2028b\u2029c\x85d",
    "\ufeff\ufff9a\ufffab\ufffb",
    "[red]x[/red] [link=http://evil.example]y[/link] :heart:",
    "a\u00ad\u061c\u180eb",
)
