"""Carry out web effects: fetch documents for scripts, deliver callbacks, log notifications.

A cached document is posted within the call of `carry_out` that requests it. The callbacks of one call or conference are
delivered in order, and delay no others.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import assert_never

from holdfast.voice.model.effects import FetchDocument, LogNotification, PostCallback, StopFetch, WebEffect
from holdfast.voice.model.errors import ContentTypeInvalid, VoiceError
from holdfast.voice.model.facts import DocumentFetched, DocumentFetchFailed
from holdfast.voice.model.ids import CallSid, Token
from holdfast.voice.runtime.http import content_sniffing
from holdfast.voice.runtime.http.client import WebClient
from holdfast.voice.runtime.http.destination import without_secrets
from holdfast.voice.runtime.http.document_text import document_text
from holdfast.voice.runtime.http.errors import ResponseEmpty
from holdfast.voice.runtime.http.exchange import AUDIO_LIMIT, HttpRequest, HttpResponse
from holdfast.voice.runtime.http.http_trace import traced_exchange
from holdfast.voice.runtime.http.response_cache import CachedResponse, ResponseCache, read_cache_policy
from holdfast.voice.runtime.mailbox import EngineEvents
from holdfast.voice.runtime.sounds.sound_cache import GONE_STATUSES, SoundCache
from holdfast.voice.runtime.webhooks.callbacks import Callbacks

DOCUMENTS_BYTES = 16 * 1024 * 1024
SUPERSEDED_WAIT_S = 0.25
"""The maximum time that a call's next document waits for the request of the superseded verb before it, so that both
arrive in this order. Source: Twilio change log 2021-05, a redirect during <Dial>: `action` first, then the document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedDocument:
    """A fetched document is a text, or a clip that is ready to play."""

    url: str
    content_type: str
    body: str = ""
    clip: str | None = None


DocumentKey = tuple[str, CallSid | None]
"""The cache key of a document: its URL without the call's parameters, and its call (None: all calls)."""


class Webhooks:
    """An executor carries out web effects; its tasks run in `tasks`."""

    def __init__(
        self,
        *,
        web: WebClient,
        sounds: SoundCache,
        events: EngineEvents,
        tasks: asyncio.TaskGroup,
        audio_limit_bytes: int = AUDIO_LIMIT,
    ) -> None:
        self._web = web
        self._sounds = sounds
        self._events = events
        self._tasks = tasks
        self._audio_limit = audio_limit_bytes
        self._documents: ResponseCache[FetchedDocument] = ResponseCache(budget_bytes=DOCUMENTS_BYTES)
        self._awaited: set[Token] = set()
        self._revalidating: set[DocumentKey] = set()
        self.callbacks = Callbacks(web=web, events=events, tasks=tasks)

    def carry_out(self, effect: WebEffect) -> None:
        """Start an effect; its outcome is posted as a fact."""
        match effect:
            case FetchDocument():
                self._awaited.add(effect.token)
                if not self._post_cached(effect):
                    self._tasks.create_task(self._fetch(effect), name=f"document {effect.token}")
            case StopFetch():
                self._awaited.discard(effect.token)
            case PostCallback():
                self.callbacks.enqueue(effect)
            case LogNotification():
                self._events.notify(effect)
            case _:
                assert_never(effect)

    def forget(self, call: CallSid) -> None:
        """Forget the cookies and passwords of a call that has ended."""
        self._web.forget(call)

    async def drained(self, *, timeout_s: float) -> bool:
        """Wait until every callback is delivered, at most `timeout_s` seconds; return whether all are."""
        return await self.callbacks.drained(timeout_s=timeout_s)

    # --- documents ----------------------------------------------------------------------------------------------

    def _find(self, effect: FetchDocument) -> tuple[DocumentKey, CachedResponse[FetchedDocument]] | None:
        """Return the cached document for this request, if its clip is still cached too. A POST is never cached."""
        if effect.request.method != "GET":
            return None
        for key in _keys(effect):
            cached = self._documents.get(key)
            if cached is not None and (cached.value.clip is None or self._sounds.has_clip(cached.value.clip)):
                return key, cached
        return None

    def _post_cached(self, effect: FetchDocument) -> bool:
        """Post the cached document at once, and return whether there is one.

        Deviation: with `cacheable`, a stale sound is posted unless its server forbids that, and a stale document
        within its `stale-while-revalidate` time; both are revalidated afterwards. Hold music must not wait.
        """
        found = self._find(effect)
        if found is None:
            return False
        key, cached = found
        freshness = cached.freshness(self._events.now())
        if freshness != "fresh":
            is_sound = cached.value.clip is not None
            if (
                not effect.cacheable
                or cached.policy.must_revalidate
                or not (is_sound or freshness == "stale-while-revalidate")
            ):
                return False
            if key not in self._revalidating:
                self._revalidating.add(key)
                self._tasks.create_task(self._revalidate(effect, key), name=f"revalidate {effect.token}")
        self._post_document(effect, cached.value)
        return True

    async def _revalidate(self, effect: FetchDocument, key: DocumentKey) -> None:
        """Revalidate a document that was posted already; after a failure the last good copy stays."""
        try:
            await self._request(effect, kind="revalidation")
        except VoiceError:
            # The exchange was traced with its error; no script waits for it.
            return
        finally:
            self._revalidating.discard(key)

    async def _fetch(self, effect: FetchDocument) -> None:
        """Request a document, and post the outcome if the script still waits for it."""
        await self.callbacks.superseded_answered(effect.call, timeout_s=SUPERSEDED_WAIT_S)
        try:
            self._post_document(effect, await self._request(effect, kind="document"))
        except VoiceError as error:
            found = self._find(effect) if effect.cacheable else None
            if found is not None and not found[1].policy.must_revalidate:
                message = f"{error.message}; the last good copy is used"
                url = without_secrets(effect.request.url)
                self._events.notify(LogNotification(call=effect.call, code=error.code, log=1, message=message, url=url))
                self._post_document(effect, found[1].value)
            elif effect.token in self._awaited:
                self._awaited.discard(effect.token)
                url = without_secrets(effect.request.url)
                self._events.post(
                    DocumentFetchFailed(token=effect.token, url=url, code=error.code, message=error.message)
                )

    def _post_document(self, effect: FetchDocument, document: FetchedDocument) -> None:
        if effect.token in self._awaited:
            self._awaited.discard(effect.token)
            self._events.post(
                DocumentFetched(
                    token=effect.token,
                    url=document.url,
                    content_type=document.content_type,
                    body=document.body,
                    clip=document.clip,
                )
            )

    async def _request(self, effect: FetchDocument, *, kind: str) -> FetchedDocument:
        """Request a document, conditionally if one is cached, and cache the response as allowed. Raises: VoiceError."""
        found = self._find(effect)
        conditions = found[1].policy.conditions() if found is not None else {}
        request = HttpRequest(
            url=effect.request.url,
            method=effect.request.method,
            form=effect.request.form,
            audio_limit_bytes=self._audio_limit,
            call=effect.call,
            cookies=True,
            conditions=conditions,
        )
        with traced_exchange(self._events, kind=kind, call=effect.call, request=effect.request) as exchange:
            exchange.response = response = await self._web.send(request)
            if response.status == 304 and found is not None:
                self._documents.confirm(found[0], read_cache_policy(response.headers), now=self._events.now())
                return found[1].value
            if found is not None and response.status in GONE_STATUSES:
                self._documents.remove(found[0])
            document = await self._read(response.require_success(), effect.call)
            self._store(effect, document, response)
            return document

    async def _read(self, response: HttpResponse, call: CallSid) -> FetchedDocument:
        """Return the text of a response, or its audio as a clip in the media process.

        Raises: ResponseEmpty, ContentTypeInvalid, DocumentUnreadable, SoundUnplayable.
        """
        if not response.body:
            raise ResponseEmpty(f"{response.url} sent an empty response")
        content_type = response.content_type
        is_markup, is_binary = content_sniffing.is_markup(response.body), content_sniffing.is_binary(response.body)
        is_text = content_type in ("text/xml", "application/xml", "text/html", "text/plain")
        if is_text and (is_markup or not is_binary):
            return FetchedDocument(
                url=response.url, content_type=content_type, body=document_text(response.body, response.charset)
            )
        is_generic = content_type in content_sniffing.GENERIC_TYPES
        if is_generic and is_markup:
            self._warn(call, response, f"{response.url} has no specific content type; it is read as text/xml")
            return FetchedDocument(
                url=response.url, content_type="text/xml", body=document_text(response.body, response.charset)
            )
        if is_binary if is_generic or is_text else content_sniffing.may_be_audio(content_type):
            clip = await self._sounds.add_response(response, call=call)
            return FetchedDocument(url=response.url, content_type=content_type or "audio/*", clip=clip)
        raise ContentTypeInvalid(
            f"{response.url} is {content_type or 'without content type'}: neither TwiML nor a sound"
        )

    def _store(self, effect: FetchDocument, document: FetchedDocument, response: HttpResponse) -> None:
        """Cache a document as its server allows, for this call or for all calls.

        A sound is shared unless it is private. A document is shared only if it has a lifetime too: one with a
        validator alone may be written for this call.
        """
        if effect.request.method != "GET":
            return
        policy = read_cache_policy(response.headers)
        shared_key, own_key = _keys(effect)
        for key in (shared_key, own_key):
            self._documents.remove(key)
        if document.clip is None and not policy.is_useful:
            return
        if not policy.storable:
            return
        is_shared = policy.shared and (document.clip is not None or bool(policy.lifetime_s))
        key = shared_key if is_shared and effect.cacheable else own_key
        self._documents.put(key, document, policy=policy, now=self._events.now(), size=len(document.body) + 512)

    # --- notifications -----------------------------------------------------------------------------------------

    def _warn(self, call: CallSid, response: HttpResponse, message: str) -> None:
        self._events.notify(
            LogNotification(call=call, code=ContentTypeInvalid.code, log=1, message=message, url=response.url)
        )


def _keys(effect: FetchDocument) -> tuple[DocumentKey, DocumentKey]:
    """Return the cache keys of a document for this request: the shared one, and that of this call.

    The call's parameters, which name the call, are left out only if the request is `cacheable`.
    """
    url = effect.request.url
    if not effect.cacheable:
        url += "\n" + repr(effect.request.form)
    return (url, None), (url, effect.call)
