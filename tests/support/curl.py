"""The commands of curl on a page of the documentation, sent to an application in this process."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise

import httpx2


def curl_commands(page: str) -> list[list[str]]:
    """The words of each command of curl on the page."""
    shell = "\n".join(re.findall(r"```sh\n(.*?)```", page, re.DOTALL)).replace("\\\n", " ")
    commands: list[list[str]] = []
    for word in shlex.split(shell.replace("\ncurl", "\n; curl"), comments=True):
        if word == "curl":
            commands.append([])
        elif word != ";" and commands:
            commands[-1].append(word)
    return commands


async def send(client: httpx2.AsyncClient, words: list[str], file: bytes) -> httpx2.Response:
    """Send what a command sends; `file` is what is in the file that it names."""
    (address,) = (word for word in words if word.startswith("http://"))
    options = dict(pairwise(words))
    name, _, value = options["-H"].partition(": ")
    body = options["-d"].encode() if "-d" in options else file
    path = re.sub(r"http://localhost:\d+", "", address)
    return await client.post(path, content=body, headers={name: value})
