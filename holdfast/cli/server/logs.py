"""Write the log of a server to standard error, without the passwords in messages and tracebacks."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from holdfast.voice.model.masking import MASK, mask_passwords


class WithoutSecrets(logging.Formatter):
    """A formatter that masks the passwords in URLs and documents, and the given secrets."""

    def __init__(self, format_string: str, secrets: Iterable[str] = ()) -> None:
        super().__init__(format_string)
        self._secrets = tuple(secret for secret in secrets if secret)

    def format(self, record: logging.LogRecord) -> str:
        """Return the entry with its traceback, masked."""
        text = mask_passwords(super().format(record))
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text


def log_to_standard_error(format_string: str, *, secrets: Iterable[str] = ()) -> None:
    """Send all log entries to standard error from now on."""
    handler = logging.StreamHandler()
    handler.setFormatter(WithoutSecrets(format_string, secrets))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
