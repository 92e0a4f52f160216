"""Opens a port, with an error that names the settings. It does not know what is served there."""

from __future__ import annotations

import socket

from newsieve.errors import SettingsInvalid


def listen(
    host: str, port: int, backlog: int, section: str, field_prefix: str = ""
) -> socket.socket:
    """Listen on an address; `::` is every address, of both kinds where the system can. Port 0 is a
    free one. `section` is that of the settings which named the address, in fields whose names begin
    with `field_prefix`. Raises SettingsInvalid."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        both = host == "::" and socket.has_dualstack_ipv6()
        return socket.create_server(
            (host, port), family=family, backlog=backlog, dualstack_ipv6=both
        )
    except OSError as error:
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        reason = error.strerror or "no such address"
        prefix = f"NEWSIEVE_{section}__{field_prefix}".upper()
        raise SettingsInvalid(
            f"cannot listen on {where}: {reason}. Set {prefix}HOST and {prefix}PORT; port 0 takes "
            "a free one"
        ) from None
