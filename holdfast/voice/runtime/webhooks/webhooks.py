"""Webhooks: documents fetched for scripts, events told to callbacks, notifications logged.

A document kept from an earlier answer is told in the same call that asks for it. Callbacks of one call, or of one
conference, leave one after the other; nobody else waits for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from holdfast.voice.model.effects import FetchDocument, LogNotification, PostCallback, StopFetch, WebEffect
from holdfast.voice.model.errors import ContentTypeInvalid, VoiceError
from holdfast.voice.model.facts import DocumentFetched, DocumentFetchFailed
from holdfast.voice.model.ids import CallSid, Token
from holdfast.voice.model.ports import WebhookTrace
from holdfast.voice.runtime.http import content_sniffing
from holdfast.voice.runtime.http.client import WebClient
from holdfast.voice.runtime.http.destination import without_secrets
from holdfast.voice.runtime.http.document_text import document_text
from holdfast.voice.runtime.http.errors import ResponseEmpty
from holdfast.voice.runtime.http.exchange import AUDIO_LIMIT, HttpRequest, HttpResponse
from holdfast.voice.runtime.http.http_trace import traces_of_exchange
from holdfast.voice.runtime.http.response_cache import CachedResponse, ResponseCache, read_cache_policy
from holdfast.voice.runtime.sounds.sound_cache import SoundCache
from holdfast.voice.runtime.webhooks.callbacks import Callbacks

DOCUMENTS_BYTES = 16 * 1024 * 1024
GONE_STATUSES = (404, 410)
"""With these a server takes back what it gave before; any other failure leaves the last good copy in use."""
SUPERSEDED_WAIT_S = 0.25
"""How long a call's next document waits for the request that the verb before it left behind, so that they arrive in
this order. Source: Twilio change log 2021-05, a redirect during <Dial>: `action` first, then the new document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedDocument:
    """What a web server answered, as a script takes it: a text, or a sound that is ready."""

    url: str
    content_type: str
    body: str = ""
    clip: str | None = None


DocumentKey = tuple[str, CallSid | None]
"""Under what a page is kept: its URL without the call's parameters, and whose it is (None: anybody's)."""


class Webhooks:
    """Carries out web effects; its tasks are born in `tasks`. `tell` may be called within `carry_out`."""

    def __init__(
        self,
        *,
        web: WebClient,
        sounds: SoundCache,
        post: Callable[[DocumentFetched | DocumentFetchFailed], None],
        notify: Callable[[LogNotification], None],
        trace: Callable[[WebhookTrace], None],
        clock: Callable[[], float],
        tasks: asyncio.TaskGroup,
        audio_limit_bytes: int = AUDIO_LIMIT,
    ) -> None:
        self._web = web
        self._library = sounds
        self._tell = post
        self._notify = notify
        self._seen = trace
        self._clock = clock
        self._tasks = tasks
        self._audio_limit = audio_limit_bytes
        self._pages: ResponseCache[FetchedDocument] = ResponseCache(budget_bytes=DOCUMENTS_BYTES)
        self._awaited: set[Token] = set()
        self._asking_behind: set[DocumentKey] = set()
        self.callbacks = Callbacks(web=web, notify=notify, trace=trace, clock=clock, tasks=tasks)

    def carry_out(self, effect: WebEffect) -> None:
        """Begin what is asked; what comes of it is told as a fact."""
        match effect:
            case FetchDocument():
                self._awaited.add(effect.token)
                if not self._tell_kept(effect):
                    self._tasks.create_task(self._fetch(effect), name=f"document {effect.token}")
            case StopFetch():
                self._awaited.discard(effect.token)
            case PostCallback():
                self.callbacks.enqueue(effect)
            case LogNotification():
                self._notify(effect)
            case _:
                assert_never(effect)

    def forget(self, call: CallSid) -> None:
        """The call is over: its cookies and passwords are nobody's any more."""
        self._web.forget(call)

    async def drained(self, *, timeout_s: float) -> bool:
        """Wait until every callback has left, but no longer than this; whether all have. For an orderly stop."""
        return await self.callbacks.drained(timeout_s=timeout_s)

    # --- documents ----------------------------------------------------------------------------------------------

    def _find(self, effect: FetchDocument) -> tuple[DocumentKey, CachedResponse[FetchedDocument]] | None:
        """A page that answers this request, if one is kept and its sound is still here. A POST is never kept."""
        if effect.request.method != "GET":
            return None
        for key in _keys(effect):
            kept = self._pages.get(key)
            if kept is not None and (kept.value.clip is None or self._library.has_clip(kept.value.clip)):
                return key, kept
        return None

    def _tell_kept(self, effect: FetchDocument) -> bool:
        """Answer from what is kept, at once; whether that could be done.

        Deviation: with `keep` a sound is told even when its time is over, unless its server forbids that, and a
        document while `stale-while-revalidate` lasts; both are asked for again behind. Hold music must not wait.
        """
        found = self._find(effect)
        if found is None:
            return False
        key, kept = found
        state = kept.freshness(self._clock())
        if state != "fresh":
            is_sound = kept.value.clip is not None
            if (
                not effect.cacheable
                or kept.policy.must_revalidate
                or not (is_sound or state == "stale-while-revalidate")
            ):
                return False
            if key not in self._asking_behind:
                self._asking_behind.add(key)
                self._tasks.create_task(self._ask_behind(effect, key), name=f"revalidate {effect.token}")
        self._tell_page(effect, kept.value)
        return True

    async def _ask_behind(self, effect: FetchDocument, key: DocumentKey) -> None:
        """Ask whether a page told already has changed. A failure leaves it as it is: the last good copy."""
        try:
            await self._ask(effect, kind="revalidation")
        except VoiceError:
            # The exchange was traced with its error; nobody waits for it.
            return
        finally:
            self._asking_behind.discard(key)

    async def _fetch(self, effect: FetchDocument) -> None:
        """Ask for a page and tell what came of it, if anybody still waits."""
        await self.callbacks.superseded_answered(effect.call, timeout_s=SUPERSEDED_WAIT_S)
        try:
            self._tell_page(effect, await self._ask(effect, kind="document"))
        except VoiceError as error:
            found = self._find(effect) if effect.cacheable else None
            if found is not None and not found[1].policy.must_revalidate:
                message = f"{error.message}; the last good copy is used"
                url = without_secrets(effect.request.url)
                self._notify(LogNotification(call=effect.call, code=error.code, log=1, message=message, url=url))
                self._tell_page(effect, found[1].value)
            elif effect.token in self._awaited:
                self._awaited.discard(effect.token)
                url = without_secrets(effect.request.url)
                self._tell(DocumentFetchFailed(token=effect.token, url=url, code=error.code, message=error.message))

    def _tell_page(self, effect: FetchDocument, page: FetchedDocument) -> None:
        if effect.token in self._awaited:
            self._awaited.discard(effect.token)
            self._tell(
                DocumentFetched(
                    token=effect.token, url=page.url, content_type=page.content_type, body=page.body, clip=page.clip
                )
            )

    async def _ask(self, effect: FetchDocument, *, kind: str) -> FetchedDocument:
        """Ask for a page, only for changes if we have one; keep what may be kept. Raises: VoiceError."""
        found = self._find(effect)
        conditions = found[1].policy.conditions() if found is not None else {}
        ask = HttpRequest(
            url=effect.request.url,
            method=effect.request.method,
            form=effect.request.form,
            audio_limit_bytes=self._audio_limit,
            call=effect.call,
            cookies=True,
            conditions=conditions,
        )
        began = self._clock()
        answer: HttpResponse | None = None
        error: VoiceError | None = None
        try:
            answer = await self._web.send(ask)
            caching = read_cache_policy(answer.headers)
            if answer.status == 304 and found is not None:
                self._pages.confirm(found[0], caching, now=self._clock())
                return found[1].value
            page = await self._read(answer.require_success(), effect.call)
            self._keep(effect, page, answer)
            return page
        except VoiceError as wrong:
            error = wrong
            if found is not None and answer is not None and answer.status in GONE_STATUSES:
                self._pages.remove(found[0])
            raise
        finally:
            for seen in traces_of_exchange(
                kind=kind,
                call=effect.call,
                request=effect.request,
                took_s=self._clock() - began,
                response=answer,
                error=error,
            ):
                self._seen(seen)

    async def _read(self, answer: HttpResponse, call: CallSid) -> FetchedDocument:
        """Return the text, or the clip made ready.

        Raises: ResponseEmpty, ContentTypeInvalid, DocumentUnreadable, SoundUnplayable.
        """
        if not answer.body:
            raise ResponseEmpty(f"{answer.url} answered with nothing")
        said = answer.content_type
        if said in ("text/xml", "application/xml", "text/html", "text/plain"):
            return FetchedDocument(url=answer.url, content_type=said, body=document_text(answer.body, answer.charset))
        if said in content_sniffing.GENERIC_TYPES and content_sniffing.is_markup(answer.body):
            self._warn(call, answer, f"{answer.url} has no content type that tells; it is read as text/xml")
            return FetchedDocument(
                url=answer.url, content_type="text/xml", body=document_text(answer.body, answer.charset)
            )
        shows = said in content_sniffing.GENERIC_TYPES and content_sniffing.recognized_format(answer.body) is not None
        if shows or (content_sniffing.may_be_audio(said) and said not in content_sniffing.GENERIC_TYPES):
            taken = await self._library.add_response(answer, call=call)
            return FetchedDocument(url=answer.url, content_type=said or "audio/*", clip=taken.clip)
        raise ContentTypeInvalid(f"{answer.url} is {said or 'without content type'}: neither TwiML nor a sound")

    def _keep(self, effect: FetchDocument, page: FetchedDocument, answer: HttpResponse) -> None:
        """Keep a page as its server allows, for this call or for all.

        A sound is anybody's unless it is private. A document is anybody's only if it also has a lifetime: one with
        a validator alone may well be written for this call.
        """
        if effect.request.method != "GET":
            return
        caching = read_cache_policy(answer.headers)
        anybodys, own = _keys(effect)
        for key in (anybodys, own):
            self._pages.remove(key)
        if page.clip is None and not caching.is_useful:
            return
        if not caching.storable:
            return
        is_everyones = caching.shared and (page.clip is not None or bool(caching.lifetime_s))
        key = anybodys if is_everyones and effect.cacheable else own
        self._pages.put(key, page, policy=caching, now=self._clock(), size=len(page.body) + 512)

    # --- what can be seen ---------------------------------------------------------------------------------------

    def _warn(self, call: CallSid, answer: HttpResponse, message: str) -> None:
        self._notify(LogNotification(call=call, code=ContentTypeInvalid.code, log=1, message=message, url=answer.url))


def _keys(effect: FetchDocument) -> tuple[DocumentKey, DocumentKey]:
    """Where a page for this request may be kept: as anybody's, as this call's.

    The call's parameters are left out only where a cached answer is allowed for (`keep`): they name this call.
    """
    url = effect.request.url
    if not effect.cacheable:
        url += "\n" + repr(effect.request.form)
    return (url, None), (url, effect.call)
