"""Resolve names only to addresses that the SSRF policy allows, so that the checked address is the one used."""

from __future__ import annotations

import socket

from aiohttp.abc import AbstractResolver, ResolveResult

from holdfast.voice.runtime.http.errors import AddressRefused
from holdfast.voice.runtime.http.ssrf_policy import SsrfPolicy


class PinnedResolver(AbstractResolver):
    """A resolver checks each address when it resolves a name; no later look-up can differ."""

    def __init__(self, inner: AbstractResolver, ssrf_policy: SsrfPolicy) -> None:
        self._resolver = inner
        self._ssrf_policy = ssrf_policy

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        allowed: list[ResolveResult] = []
        refused: AddressRefused | None = None
        for found in await self._resolver.resolve(host, port, family):
            try:
                self._ssrf_policy.check(host, port, found["host"])
                allowed.append(found)
            except AddressRefused as error:
                refused = error
        if not allowed and refused is not None:
            raise refused
        return allowed

    async def close(self) -> None:
        await self._resolver.close()
