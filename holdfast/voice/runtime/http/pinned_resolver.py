"""Name resolution that gives only addresses we may connect to, so that the address judged is the address used."""

from __future__ import annotations

import socket

from aiohttp.abc import AbstractResolver, ResolveResult

from holdfast.voice.runtime.http.errors import AddressRefused
from holdfast.voice.runtime.http.ssrf_policy import SsrfPolicy


class PinnedResolver(AbstractResolver):
    """Resolves names and judges each address at once; no later look-up can differ."""

    def __init__(self, inner: AbstractResolver, ssrf_policy: SsrfPolicy) -> None:
        self._inner = inner
        self._reach = ssrf_policy

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        passed: list[ResolveResult] = []
        refused: AddressRefused | None = None
        for found in await self._inner.resolve(host, port, family):
            try:
                self._reach.check(host, port, found["host"])
                passed.append(found)
            except AddressRefused as error:
                refused = error
        if not passed and refused is not None:
            raise refused
        return passed

    async def close(self) -> None:
        await self._inner.close()
