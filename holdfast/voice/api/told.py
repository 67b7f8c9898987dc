"""Routes of our own whose errors are told as the REST door tells them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from holdfast.voice.api.errors import told
from holdfast.voice.model.errors import VoiceError


class Told(APIRoute):
    """A route whose errors are translated."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, its errors translated."""
        handler = super().get_route_handler()

        async def told_on_error(request: Request) -> Response:
            try:
                return await handler(request)
            except VoiceError as error:
                return told(error, request.url.path)

        return told_on_error
