"""Which librdkafka options are secrets, and how their values stay out of what is shown.

librdkafka redacts them where it lists its configuration, but quotes some of them in errors. This
module knows names and texts of options; neither clients nor settings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic import SecretStr

MASK: Final = "***"
_SECRET_WORDS: Final = (
    "password", "passphrase", "secret", "token", "key.pem", "oauthbearer.config", "basic.auth",
    "jaas",
)  # fmt: skip
_ADDRESS: Final = ".url"  # sasl.oauthbearer.token.endpoint.url is no token
_USER_IN_ADDRESS: Final = r"(?<=://)[^/\s@]+(?=@)"


def is_secret(name: str) -> bool:
    """Whether the option of this name holds a secret."""
    lower = name.lower()
    return any(word in lower for word in _SECRET_WORDS) and not lower.endswith(_ADDRESS)


def plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options as librdkafka takes them, their secrets readable."""
    return {
        name: value.get_secret_value() if isinstance(value, SecretStr) else value
        for name, value in options.items()
    }


class SecretMask:
    """Shows a text without the secrets of one configuration, nor any word of them."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        secrets = [str(value) for name, value in config.items() if is_secret(name)]
        words = {word for secret in secrets for word in (secret, *secret.split()) if word}
        longest_first = sorted(words, key=len, reverse=True)
        self._hidden = re.compile("|".join([*map(re.escape, longest_first), _USER_IN_ADDRESS]))

    def __call__(self, text: str) -> str:
        return self._hidden.sub(MASK, text)
