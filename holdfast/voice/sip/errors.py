"""What a far end can get wrong in signalling, each with the SIP status that answers it."""

from __future__ import annotations

from holdfast.voice.model.errors import AskedWrong, PeerWrong


class SipMessageUnreadable(PeerWrong):
    """The bytes are no SIP message."""

    sip = 400


class UriUnreadable(AskedWrong):
    """A SIP URI was wanted, and this is none, or it leads to no numeric host."""

    code = 13243
    sip = 400


class SdpUnreadable(PeerWrong):
    """The body is no session description, or says something impossible."""

    sip = 400


class NotAcceptableHere(PeerWrong):
    """The description can be read, and nothing in it can be done: no audio, no codec of ours, no address."""

    sip = 488


class OfferOutOfOrder(AskedWrong):
    """An offer or answer that cannot be made now: one is outstanding, or none is."""

    sip = 491
