"""The parameters of each path in Twilio's reference, in our own table.

A test compares it with what the REST API uses or knowingly ignores, so that no program gets a warning for a parameter
that Twilio has. Source: Twilio API 2010-04-01, the parameters of each operation.
"""

from __future__ import annotations

from typing import Final

PAGED: Final = "PageSize Page PageToken "


def dated(*names: str) -> str:
    """Return the three names by which each of these dates is filtered."""
    return "".join(f"{name} {name}< {name}> " for name in names)


_CALL_SETTINGS = "Method FallbackUrl FallbackMethod StatusCallback StatusCallbackMethod TimeLimit Url Twiml "
_OUTWARD = """To From StatusCallback StatusCallbackMethod StatusCallbackEvent Timeout Record RecordingChannels
    RecordingStatusCallback RecordingStatusCallbackMethod RecordingStatusCallbackEvent RecordingTrack Trim TimeLimit
    SipAuthUsername SipAuthPassword Byoc CallerId CallReason CallToken ClientNotificationUrl MachineDetection
    MachineDetectionTimeout MachineDetectionSpeechThreshold MachineDetectionSpeechEndThreshold
    MachineDetectionSilenceTimeout """
_RECORDING = """RecordingStatusCallback RecordingStatusCallbackMethod RecordingStatusCallbackEvent RecordingChannels
    RecordingTrack Trim"""
_VOICE = """FriendlyName ApiVersion VoiceUrl VoiceMethod VoiceFallbackUrl VoiceFallbackMethod StatusCallback
    StatusCallbackMethod VoiceCallerIdLookup SmsUrl SmsMethod SmsFallbackUrl SmsFallbackMethod """
_NUMBER = (
    _VOICE
    + """SmsApplicationSid VoiceApplicationSid EmergencyStatus EmergencyAddressSid TrunkSid IdentitySid AddressSid
    VoiceReceiveMode BundleSid """
)
_APPLICATION = _VOICE + "SmsStatusCallback MessageStatusCallback PublicApplicationConnectEnabled"
_DOMAIN = """DomainName FriendlyName VoiceUrl VoiceMethod VoiceFallbackUrl VoiceFallbackMethod VoiceStatusCallbackUrl
    VoiceStatusCallbackMethod SipRegistration EmergencyCallingEnabled Secure ByocTrunkSid EmergencyCallerSid"""
_NOTIFICATIONS = PAGED + "Log " + dated("MessageDate")
_GATE = "/SIP/Domains/{DomainSid}"

PARAMETERS: Final[dict[tuple[str, str], str]] = {
    ("GET", "/Calls"): PAGED + "To From ParentCallSid Status " + dated("StartTime", "EndTime"),
    ("POST", "/Calls"): _CALL_SETTINGS
    + _OUTWARD
    + "SendDigits ApplicationSid AsyncAmd AsyncAmdStatusCallback AsyncAmdStatusCallbackMethod",
    ("POST", "/Calls/{Sid}"): _CALL_SETTINGS + "Status",
    ("GET", "/Calls/{CallSid}/Events"): PAGED,
    ("GET", "/Calls/{CallSid}/Notifications"): _NOTIFICATIONS,
    ("GET", "/Notifications"): _NOTIFICATIONS,
    ("GET", "/Messages"): PAGED + "To From " + dated("DateSent"),
    ("POST", "/Messages"): """To StatusCallback ApplicationSid MaxPrice ProvideFeedback Attempt ValidityPeriod
    ForceDelivery ContentRetention AddressRetention SmartEncoded PersistentAction TrafficType ShortenUrls ScheduleType
    SendAt SendAsMms ContentVariables MessageIntent RiskCheck From FallbackFrom MessagingServiceSid Body MediaUrl
    ContentSid""",
    ("POST", "/Messages/{Sid}"): "Body Status",
    ("GET", "/Conferences"): PAGED + "FriendlyName Status " + dated("DateCreated", "DateUpdated"),
    ("POST", "/Conferences/{Sid}"): "Status AnnounceUrl AnnounceMethod",
    ("GET", "/Conferences/{ConferenceSid}/Participants"): PAGED + "Muted Hold Coaching",
    ("POST", "/Conferences/{ConferenceSid}/Participants"): _OUTWARD
    + """Label Muted Beep StartConferenceOnEnter EndConferenceOnExit WaitUrl WaitMethod EarlyMedia MaxParticipants
    ConferenceRecord ConferenceTrim ConferenceStatusCallback ConferenceStatusCallbackMethod
    ConferenceStatusCallbackEvent Region ConferenceRecordingStatusCallback ConferenceRecordingStatusCallbackMethod
    ConferenceRecordingStatusCallbackEvent Coaching CallSidToCoach JitterBufferSize AmdStatusCallback
    AmdStatusCallbackMethod CallerDisplayName""",
    ("POST", "/Conferences/{ConferenceSid}/Participants/{CallSid}"): """Muted Hold HoldUrl HoldMethod AnnounceUrl
    AnnounceMethod WaitUrl WaitMethod BeepOnExit EndConferenceOnExit Coaching CallSidToCoach""",
    ("GET", "/Recordings"): PAGED + "CallSid ConferenceSid IncludeSoftDeleted " + dated("DateCreated"),
    ("GET", "/Recordings/{Sid}"): "IncludeSoftDeleted",
    ("GET", "/Calls/{CallSid}/Recordings"): PAGED + dated("DateCreated"),
    ("POST", "/Calls/{CallSid}/Recordings"): _RECORDING,
    ("POST", "/Calls/{CallSid}/Recordings/{Sid}"): "Status PauseBehavior",
    ("GET", "/Conferences/{ConferenceSid}/Recordings"): PAGED + dated("DateCreated"),
    ("POST", "/Conferences/{ConferenceSid}/Recordings/{Sid}"): "Status PauseBehavior",
    ("GET", "/Queues"): PAGED,
    ("POST", "/Queues"): "FriendlyName MaxSize",
    ("POST", "/Queues/{Sid}"): "FriendlyName MaxSize",
    ("GET", "/Queues/{QueueSid}/Members"): PAGED,
    ("POST", "/Queues/{QueueSid}/Members/{CallSid}"): "Url Method",
    ("GET", "/Applications"): PAGED + "FriendlyName",
    ("POST", "/Applications"): _APPLICATION,
    ("POST", "/Applications/{Sid}"): _APPLICATION,
    ("GET", "/IncomingPhoneNumbers"): PAGED + "Beta FriendlyName PhoneNumber Origin",
    ("POST", "/IncomingPhoneNumbers"): _NUMBER + "PhoneNumber AreaCode",
    ("POST", "/IncomingPhoneNumbers/{Sid}"): _NUMBER + "AccountSid",
    ("GET", "/Keys"): PAGED,
    ("POST", "/Keys"): "FriendlyName",
    ("POST", "/Keys/{Sid}"): "FriendlyName",
    ("GET", "/SIP/Domains"): PAGED,
    ("POST", "/SIP/Domains"): _DOMAIN,
    ("POST", "/SIP/Domains/{Sid}"): _DOMAIN,
    ("GET", f"{_GATE}/CredentialListMappings"): PAGED,
    ("POST", f"{_GATE}/CredentialListMappings"): "CredentialListSid",
    ("GET", f"{_GATE}/Auth/Calls/CredentialListMappings"): PAGED,
    ("POST", f"{_GATE}/Auth/Calls/CredentialListMappings"): "CredentialListSid",
    ("GET", f"{_GATE}/Auth/Registrations/CredentialListMappings"): PAGED,
    ("POST", f"{_GATE}/Auth/Registrations/CredentialListMappings"): "CredentialListSid",
    ("GET", "/SIP/CredentialLists"): PAGED,
    ("POST", "/SIP/CredentialLists"): "FriendlyName",
    ("POST", "/SIP/CredentialLists/{Sid}"): "FriendlyName",
    ("GET", "/SIP/CredentialLists/{CredentialListSid}/Credentials"): PAGED,
    ("POST", "/SIP/CredentialLists/{CredentialListSid}/Credentials"): "Username Password",
    ("POST", "/SIP/CredentialLists/{CredentialListSid}/Credentials/{Sid}"): "Password",
}
OF_AUDIO: Final = {
    ("GET", f"{owner}/Recordings/{{Sid}}"): "RequestedChannels"
    for owner in ("", "/Calls/{CallSid}", "/Conferences/{ConferenceSid}")
}
"""The parameters of a recording's audio, which has the path of the recording with another suffix."""
