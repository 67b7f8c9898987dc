"""Open the directory of a store, with the entries of the settings in place of stored ones."""

from __future__ import annotations

import time

from holdfast import settings as settings_of
from holdfast.settings import Settings
from holdfast.voice.model.ids import AccountSid
from holdfast.voice.model.ports import KeyValues
from holdfast.voice.runtime.directory.directory import Directory
from holdfast.voice.runtime.directory.records import LineRecord, RouteRecord, VoiceSettings


async def open_directory(kv: KeyValues, settings: Settings | None, *, account: str) -> Directory:
    """Return the directory of a store and of these settings, if any. Raises: StoreFailed."""
    if settings is None:
        return await Directory.open(kv, account=AccountSid(account), now=time.time())
    return await Directory.open(
        kv,
        account=AccountSid(account),
        now=time.time(),
        lines=[LineRecord.with_password(name=name, **line.model_dump()) for name, line in settings.lines.items()],
        routes=[route_of(prefix, route) for prefix, route in settings.routes.items()],
        numbers={number: VoiceSettings(**voice.model_dump()) for number, voice in settings.numbers.items()},
        default_voice_url=settings.default_voice_url,
        default_country=settings.default_country,
    )


def route_of(prefix: str, trunk: settings_of.Route) -> RouteRecord:
    """Return a route of the settings as a record of the directory."""
    return RouteRecord(
        prefix=prefix,
        backup=None if trunk.backup is None else route_of(prefix, trunk.backup),
        **trunk.model_dump(by_alias=True, exclude={"backup"}),
    ).completed()
