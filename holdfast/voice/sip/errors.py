"""Signalling errors of a peer, each with the SIP status that answers it."""

from __future__ import annotations

from holdfast.voice.model.errors import AskedWrong, PeerWrong


class SipMessageUnreadable(PeerWrong):
    """The bytes are not a SIP message."""

    sip = 400


class UriUnreadable(AskedWrong):
    """The text is not a SIP URI, or it leads to no numeric host."""

    code = 13243
    sip = 400


class SdpUnreadable(PeerWrong):
    """The body is not a session description, or holds impossible values."""

    sip = 400


class NotAcceptableHere(PeerWrong):
    """The description is readable, but has no audio, no common codec or no address."""

    sip = 488


class OfferOutOfOrder(AskedWrong):
    """An offer while one is outstanding, or an answer without an offer."""

    sip = 491
