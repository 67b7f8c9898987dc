"""Read the settings once at start, from flags, environment, `holdfast.toml` and defaults, in that order.

They are one frozen value. A wrong value is refused here; the error names the setting, its origin, the value and what is
allowed.
Length: every setting with its allowed values, those of lines, numbers and trunks too, and how each is explained.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from phonenumbers import SUPPORTED_REGIONS
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

PREFIX = "HOLDFAST_"
FILE = "holdfast.toml"
OTHER_VARIABLE_NAMES = frozenset({"CONFIG", "API"})
"""The other names that may follow the prefix: the path of the file, and the engine's URL for the holds library."""
MAX_FILE_BYTES = 1_000_000
"""Longest settings file, in bytes."""


class SettingsInvalid(Exception):
    """The settings cannot be used. `problems` has one sentence for each fault."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def default_store() -> str:
    """Return the URL of a SQLite file in the user's data directory. Source: XDG Base Directory Specification."""
    data = os.environ.get("XDG_DATA_HOME", "")
    home = Path(data) if data.startswith("/") else Path.home() / ".local" / "share"
    return f"sqlite:///{home / 'holdfast' / 'holdfast.db'}"


def _numeric(host: str) -> str:
    return str(ipaddress.ip_address(host))


def _web_address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not a web address")
    _ = parts.port  # raises ValueError when out of range
    return url


def _even(port: int) -> int:
    if port % 2:
        raise ValueError("odd")
    return port


def _no_short_session(seconds: int) -> int:
    if seconds != 0 and seconds < 90:
        raise ValueError("too short")
    return seconds


def _sqlite(url: str) -> str:
    prefix = "sqlite:///"
    if not url.startswith(prefix) or not url.removeprefix(prefix):
        raise ValueError("not a SQLite file")
    return prefix + str(Path(url.removeprefix(prefix)).expanduser().absolute())


def _host_or_network(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?", text):
        ipaddress.ip_network(text, strict=False)
    return text


def _trunk_host(text: str) -> str:
    name = text.lower().removesuffix(".")
    labels = name.split(".")
    is_name = all(re.fullmatch(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", label) for label in labels)
    return name if is_name and len(name) <= 253 and not labels[-1].isdigit() else _numeric(text)


def _nameserver(text: str) -> str:
    nameserver_address(text)
    return text


def nameserver_address(text: str) -> tuple[str, int]:
    """Return the numeric address and the port in `192.0.2.53`, `192.0.2.53:5353`, `2001:db8::1` or `[2001:db8::1]:53`.

    Raises: ValueError.
    """
    found = re.fullmatch(r"\[(.+)\](?::([0-9]{1,5}))?|([^:]+)(?::([0-9]{1,5}))?", text)
    host, port = (text, None) if found is None else (found[1] or found[3], found[2] or found[4])
    if port is not None and not 0 < int(port) < 65536:
        raise ValueError("not a port")
    return str(ipaddress.ip_address(host)), 53 if port is None else int(port)


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _line_from_password(value: object) -> object:
    return {"password": value} if isinstance(value, str) else value


def _number_from_url(value: object) -> object:
    return {"voice_url": value} if isinstance(value, str) else value


def _route_from_host(value: object) -> object:
    if not isinstance(value, str):
        return value
    host, colon, port = value.rpartition(":") if value.count(":") == 1 else (value, "", "")
    return {"host": host, "port": int(port)} if colon and port.isdigit() else {"host": value}


def _country(text: str) -> str:
    if text not in SUPPORTED_REGIONS:
        raise ValueError("no country with phone numbers of its own")
    return text


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _network(text: str) -> str:
    return str(ipaddress.ip_network(text, strict=False))


Port = Annotated[int, Field(ge=0, le=65535)]
Numeric = Annotated[str, AfterValidator(_numeric)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
TrunkHost = Annotated[str, AfterValidator(_trunk_host)]
Nameserver = Annotated[str, AfterValidator(_nameserver)]
HostOrNetwork = Annotated[str, AfterValidator(_host_or_network)]
LineName = Annotated[str, Field(pattern="^[A-Za-z0-9_.+-]{1,64}$")]
Network = Annotated[str, AfterValidator(_network)]
Prefix = Annotated[str, Field(pattern=r"^\+[0-9]{0,15}$")]
E164 = Annotated[str, Field(pattern=r"^\+[1-9][0-9]{1,14}$")]


RtpSource = Literal["named", "signalling", "any"]
PhoneHoldMusic = Literal["trunks", "always ours", "always theirs"]
PHONE_HOLD_MUSIC = "trunks, always ours or always theirs: which phones are heard that hold and go on sending"
RTP_SOURCE = "named, signalling or any: from where RTP is accepted beside the address that a description names"


class Line(BaseModel):
    """A SIP user that may register, and call numbers and names that begin with one of `may_call`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    password: Annotated[str, Field(min_length=1, repr=False, description="a text: the password of the phone")]
    may_call: tuple[str, ...] = Field(
        ("",), description='a list such as ["+1555", "100"]: prefixes of what it may call; []: it may not call'
    )
    rtp_source: RtpSource | None = Field(None, description=RTP_SOURCE)


class Number(BaseModel):
    """A phone number of this account. Without `voice_url` it rings the line of that name."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    voice_url: WebAddress | None = Field(None, description="an http:// or https:// address")
    voice_method: Literal["GET", "POST"] = Field("POST", description="GET or POST")


class Route(BaseModel):
    """A trunk: where calls to numbers of a prefix are sent, and from where its calls come in without a password."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True, hide_input_in_errors=True
    )
    host: TrunkHost = Field(description="a numeric IP address, or a host name that is looked up")
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        None, description="a port from 1 to 65535 (not set: as DNS says; for an address 5060, over TLS 5061)"
    )
    transport: Annotated[Literal["UDP", "TCP", "TLS"], BeforeValidator(_upper)] | None = Field(
        None, description="udp, tcp or tls (not set: as DNS says; for an address udp)"
    )
    user: str | None = Field(None, description="a text: our user name at the trunk")
    password: str | None = Field(None, repr=False, description="a text: the password of user")
    realm: str | None = Field(
        None, description="a text: the realm whose challenges we answer; separate several by commas"
    )
    caller_id: E164 | None = Field(None, description="a number such as +15550100, shown in place of the caller's")
    identity: Annotated[str, Field(pattern=r"^(caller|\+[1-9][0-9]{1,14})$")] | None = Field(
        None, description="caller, or a number such as +15550100: the caller in P-Asserted-Identity"
    )
    tls_name: str | None = Field(None, description="a text: the name in the trunk's certificate")
    sources: tuple[Network, ...] = Field(
        (), description='a list of addresses or networks such as ["203.0.113.0/28"], from which its calls come in'
    )
    register_: bool = Field(
        False, alias="register", description="true or false: whether we register with the trunk as user"
    )
    domain: Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?$")] | None = Field(
        None, description="a host name: the domain in our requests to the trunk"
    )
    rtp_source: RtpSource | None = Field(None, description=RTP_SOURCE)
    phone_hold_music: PhoneHoldMusic | None = Field(None, description=PHONE_HOLD_MUSIC)
    backup: Annotated[Route, BeforeValidator(_route_from_host)] | None = Field(
        None, description="another trunk, used when this one has no service"
    )

    @model_validator(mode="after")
    def _may_register(self) -> Route:
        if self.register_ and not (self.user and self.password):
            raise ValueError("register needs user and password")
        return self


def _is_reachable(ip: str) -> bool:
    address = ipaddress.ip_address(ip)
    return address.version == 4 and not address.is_unspecified and not address.is_multicast


class Settings(BaseSettings):
    """The settings of a server. The `description` of each field says what is allowed."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=PREFIX,
        env_ignore_empty=True,
        validate_default=False,
        hide_input_in_errors=True,
    )

    http_host: str = Field("127.0.0.1", min_length=1, description="an address or host name to listen on")
    http_port: Port = Field(8080, description="a port from 0 to 65535 (0: any that is free)")
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_split)] = Field(
        (), description="addresses or networks of trusted proxies, separated by commas"
    )
    sip_host: Numeric = Field("127.0.0.1", description="a numeric IP address to listen on")
    sip_port: Port = Field(5060, description="a port from 0 to 65535 (0: any that is free)")
    sip_trust_loopback: bool = Field(
        True, description="true or false: whether unauthenticated clients may call when SIP listens on loopback"
    )
    sip_quiet: bool = Field(
        False,
        description="true or false: whether scanners, and unauthenticated peers that do not register, get no answer",
    )
    sip_sha256: bool = Field(
        False,
        description="true or false: whether phones are challenged by SHA-256, and by MD5 where they cannot",
    )
    sip_tls_certificate: Path | None = Field(
        None, description="a PEM file with the certificate of SIP over TLS, and its chain"
    )
    sip_tls_key: Path | None = Field(
        None, description="a PEM file with its private key (not needed if it is in the same file)"
    )
    sip_tls_authorities: Path | None = Field(
        None, description="a PEM file with authorities to trust beside the system's, for TLS connections that we open"
    )
    sip_tls_port: Port = Field(
        5061, description="a port from 0 to 65535 (0: any that is free), used with a certificate"
    )
    sip_srtp: Literal["accept", "offer", "require"] = Field(
        "accept", description="accept, offer or require: how SRTP is used on lines that use TLS"
    )
    sip_srtp_without_tls: bool = Field(
        False,
        description="true or false: whether SRTP keys are accepted without TLS, where others on the path can read them",
    )
    session_expires_s: Annotated[int, AfterValidator(_no_short_session)] = Field(
        1800, description="seconds, 90 or more: the session timer of calls (RFC 4028); 0: none"
    )
    keepalive_s: Annotated[float, Field(ge=0)] = Field(
        60.0, description="seconds without a SIP message after which a call's phone is sent OPTIONS; 0: never"
    )
    rtp_timeout_s: Annotated[float, Field(ge=0)] = Field(
        60.0, description="seconds without audio after which a call is ended; 0: never"
    )
    rtp_timeout_held_s: Annotated[float, Field(ge=0)] = Field(
        3600.0, description="the same while the phone itself holds; 0: never"
    )
    rtp_ip: Numeric | None = Field(
        None, description="the numeric IP address of this machine to which phones send audio (not 0.0.0.0)"
    )
    public_ip: Numeric | None = Field(
        None,
        description="the numeric IPv4 address at which phones reach this machine through a NAT router",
    )
    rtp_base: Annotated[int, Field(ge=1024, le=65534), AfterValidator(_even)] = Field(
        16384, description="an even port from 1024 to 65534, the first of the RTP ports"
    )
    rtp_rows: Annotated[int, Field(ge=2, le=4096)] = Field(
        512, description="how many legs can have audio at once: 2 to 4096, two ports each, the last below 65536"
    )
    rtp_source: RtpSource = Field("signalling", description=RTP_SOURCE)
    phone_hold_music: PhoneHoldMusic = Field("trunks", description=PHONE_HOLD_MUSIC)
    store: Annotated[str, AfterValidator(_sqlite)] = Field(
        default_factory=default_store, description="sqlite:/// and the path of a file"
    )
    account_sid: Annotated[str, Field(pattern=r"^AC[0-9a-f]{32}$")] | None = Field(
        None, description="AC and 32 of 0-9 a-f, together with auth_token"
    )
    auth_token: Annotated[str, Field(min_length=16)] | None = Field(
        None, repr=False, description="at least 16 characters, together with account_sid"
    )
    default_voice_url: WebAddress | None = Field(None, description="an http:// or https:// address")
    default_country: Annotated[str, AfterValidator(_country)] = Field(
        "US", description="two capital letters of a country, such as US or CH: numbers without a plus are dialled there"
    )
    public_url: WebAddress | None = Field(None, description="an http:// or https:// address")
    webhook_allow: Annotated[tuple[HostOrNetwork, ...], NoDecode, BeforeValidator(_split)] = Field(
        (), description="host names, addresses or networks such as 10.0.0.0/8, separated by commas"
    )
    webhook_authorities: Path | None = Field(
        None, description="a PEM file with authorities that webhooks trust beside the system's"
    )
    nameservers: Annotated[tuple[Nameserver, ...], NoDecode, BeforeValidator(_split)] = Field(
        (),
        description="addresses of DNS servers such as 192.0.2.53 or 127.0.0.1:5353, separated by commas "
        "(not set: those of the system)",
    )
    trunk_allow: Annotated[tuple[HostOrNetwork, ...], NoDecode, BeforeValidator(_split)] = Field(
        (), description="host names, addresses or networks such as 10.0.0.0/8, separated by commas"
    )
    api_requests_per_s: Annotated[float, Field(gt=0, le=100_000)] | None = Field(
        None, description="how many REST requests are accepted in a second (not set: all); others get 429"
    )
    calls_per_s: Annotated[float, Field(gt=0, le=1000)] | None = Field(
        None, description="how many REST calls are placed in a second (not set: all at once)"
    )
    metrics_open: bool = Field(False, description="true or false: whether unauthenticated clients may read /metrics")
    keep_days: Annotated[float, Field(gt=0, le=36500)] | None = Field(
        None, description="how many days recordings are kept, more than 0 and up to 36500 (not set: for ever)"
    )
    messages: Literal["record", "refuse"] = Field(
        "record", description="record or refuse: what becomes of messages that programs send by REST; none is delivered"
    )
    lines: Mapping[LineName, Annotated[Line, BeforeValidator(_line_from_password)]] = Field(
        default_factory=dict, repr=False, description="names of letters, digits and . _ + -, each with a password"
    )
    numbers: Mapping[E164, Annotated[Number, BeforeValidator(_number_from_url)]] = Field(
        default_factory=dict, description="numbers such as +15550100, each with a voice_url"
    )
    routes: Mapping[Prefix, Annotated[Route, BeforeValidator(_route_from_host)]] = Field(
        default_factory=dict,
        repr=False,
        description="prefixes such as +44, or + for all, each with a host",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return only the given values: `read` merges the sources itself, so that errors name the origin of a value."""
        return (init_settings,)

    @model_validator(mode="after")
    def _fits_together(self) -> Settings:
        problems = []
        if ipaddress.ip_address(self.media_ip).version != 4:
            problems.append("rtp_ip: audio is sent over IPv4 only; set it to an IPv4 address")
        if ipaddress.ip_address(self.media_ip).is_unspecified:
            problems.append(
                "rtp_ip: needed when sip_host is 0.0.0.0; set it to the address at which phones reach this machine"
            )
        if self.public_ip is not None and not _is_reachable(self.public_ip):
            problems.append("public_ip: must be an IPv4 address to which phones can send, not 0.0.0.0")
        if self.rtp_base + 2 * self.rtp_rows > 65536:
            fitting = (65536 - self.rtp_base) // 2
            problems.append(
                f"rtp_rows: {self.rtp_rows} rows from port {self.rtp_base} pass 65535; at most {fitting} fit"
            )
        if (self.account_sid is None) != (self.auth_token is None):
            problems.append("account_sid and auth_token: set both, or neither (then they are made on first start)")
        if self.sip_tls_certificate is None and (self.sip_tls_key or self.sip_tls_authorities):
            problems.append("sip_tls_certificate: needed with sip_tls_key and sip_tls_authorities")
        if problems:
            raise SettingsInvalid(problems)
        return self

    @property
    def media_ip(self) -> str:
        """Return the address for audio: `rtp_ip`, else that of SIP."""
        return self.rtp_ip or self.sip_host

    @property
    def advertised_ip(self) -> str | None:
        """Return the address that we advertise to phones, or None when it is the one on which SIP listens."""
        return self.public_ip or (self.media_ip if ipaddress.ip_address(self.sip_host).is_unspecified else None)

    @property
    def sip_on_loopback(self) -> bool:
        """Return whether SIP listens on loopback alone, so that only this machine can try a password."""
        return ipaddress.ip_address(self.sip_host).is_loopback

    @property
    def nameserver_addresses(self) -> tuple[tuple[str, int], ...]:
        """Return the addresses and ports of `nameservers`."""
        return tuple(map(nameserver_address, self.nameservers))

    @property
    def store_path(self) -> Path:
        """Return the path of the store's file."""
        return Path(self.store.removeprefix("sqlite:///"))


SECTIONS: Mapping[str, type[BaseModel]] = {"lines": Line, "numbers": Number, "routes": Route}
KEYS_OF_SECTION = 2
"""The settings of a section follow its name and a key: lines.alice.password."""


def read(flags: Mapping[str, object] | None = None, *, file: Path | None = None) -> Settings:
    """Return the settings of this start. A flag that is None was not given. Raises: SettingsInvalid."""
    from_file, file_name = _read_file(file)
    try:
        from_environment = EnvSettingsSource(Settings)()
    except SettingsError as error:
        name = re.search(r'field "(\w+)"', str(error))
        raise SettingsInvalid([f"{PREFIX}{name[1].upper() if name else '…'}: its value must be JSON"]) from error
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    origins = {name: (name, f" in {file_name}") for name in from_file}
    origins |= {name: (PREFIX + name.upper(), "") for name in from_environment}
    origins |= {name: ("--" + name.replace("_", "-"), "") for name in given}
    merged: dict[str, Any] = {**from_file, **from_environment, **given}
    try:
        return Settings(**merged)
    except ValidationError as error:
        raise SettingsInvalid(_explain(error, origins)) from error


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Return a warning for each HOLDFAST_ variable that sets nothing, most often a misspelt one."""
    known = {name.upper() for name in Settings.model_fields} | OTHER_VARIABLE_NAMES
    warnings = []
    for name in sorted(environment):
        bare = name.removeprefix(PREFIX)
        if bare != name and bare not in known:
            near = difflib.get_close_matches(bare, known, n=1)
            hint = f"; did you mean {PREFIX}{near[0]}?" if near else ""
            warnings.append(f"{name} sets nothing{hint}")
    return warnings


def settings_file(named: Path | None) -> Path:
    """Return the path of the settings file: the named one, else that of the environment, else `holdfast.toml`."""
    return named or Path(os.environ.get("HOLDFAST_CONFIG") or FILE)


def _read_file(file: Path | None) -> tuple[dict[str, Any], str]:
    path = settings_file(file)
    if file is None and not os.environ.get("HOLDFAST_CONFIG") and not path.exists():
        return {}, str(path)
    try:
        with path.open("rb") as content:
            text = content.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise SettingsInvalid([f"{path}: cannot be read: {error.strerror}"]) from error
    if len(text) > MAX_FILE_BYTES:
        raise SettingsInvalid([f"{path}: is longer than {MAX_FILE_BYTES} bytes, and so no settings file"])
    try:
        return tomllib.loads(text.decode("utf-8")), str(path)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsInvalid([f"{path}: is not TOML: {error}"]) from error
    except RecursionError as error:
        raise SettingsInvalid([f"{path}: is not TOML of settings: its values are nested too deeply"]) from error


def _explain(error: ValidationError, origins: Mapping[str, tuple[str, str]]) -> list[str]:
    problems: dict[str, None] = {}  # a set that keeps its order
    for detail in error.errors(include_url=False):
        where = [str(part) for part in detail["loc"] if part != "[key]"]
        name = where[0] if where else ""
        given, place = origins.get(name, (name, ""))
        origin = ".".join([given, *where[1:]]) + place
        field, siblings = _field_at(where)
        match detail["type"]:
            case "extra_forbidden":
                near = difflib.get_close_matches(where[-1], siblings, n=1)
                problem = "there is no such setting" + (f"; did you mean {near[0]}?" if near else "")
            case "missing":
                problem = "is missing"
            case "value_error" if isinstance(detail["input"], dict):
                problem = str(detail["ctx"]["error"])
            case _:
                entered = detail["input"]  # with @ it may be a URL that has a password in it
                hidden = field is None or not field.repr or (isinstance(entered, str) and "@" in entered)
                value = "its value" if hidden else repr(entered)
                allowed = field.description if field else ""
                problem = f"{value} is not allowed; allowed: {allowed}"
        problems[f"{origin}: {problem}"] = None
    return list(problems)


def _field_at(where: Sequence[str]) -> tuple[FieldInfo | None, list[str]]:
    """Return the field at a place in the settings, and the names that are allowed beside it."""
    fields = dict(Settings.model_fields)
    field = fields.get(where[0]) if where else None
    model = SECTIONS.get(where[0]) if where else None
    if model is not None and len(where) > KEYS_OF_SECTION:
        fields = {each.alias or name: each for name, each in model.model_fields.items()}
        for part in where[KEYS_OF_SECTION:]:
            # An entry of a list, or a backup trunk, has the names of the same model.
            field = fields.get(part, None if field is None or part.isidentifier() else field)
    return field, list(fields)
