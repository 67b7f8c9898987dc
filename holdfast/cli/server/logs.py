"""The log of a server: lines on standard error, without passwords, whatever a message or a traceback holds."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from holdfast.voice.model.masking import MASK, mask_passwords


class WithoutSecrets(logging.Formatter):
    """Leaves out the passwords in URLs and documents, and these secrets wherever they stand."""

    def __init__(self, form: str, secrets: Iterable[str] = ()) -> None:
        super().__init__(form)
        self._secrets = tuple(secret for secret in secrets if secret)

    def format(self, record: logging.LogRecord) -> str:
        """The whole entry, its traceback too."""
        text = mask_passwords(super().format(record))
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text


def log_to_standard_error(form: str, *, secrets: Iterable[str] = ()) -> None:
    """From here on everything that is logged goes there."""
    handler = logging.StreamHandler()
    handler.setFormatter(WithoutSecrets(form, secrets))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
