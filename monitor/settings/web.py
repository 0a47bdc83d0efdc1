"""The page and the API: where they listen, who may ask, and how they are reached."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_core import PydanticCustomError

from monitor.settings.base import ExistingPath, Model, Name, not_empty

_PORTS: Final = 65_536
_PATH: Final = re.compile(r"(/[A-Za-z0-9._~-]+)*")

ScopeName = Literal["read", "operate", "admin"]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class TokenSettings(Model):
    """One token and what it is good for."""

    token: SecretStr
    scope: ScopeName = Field(
        default="read", description="read: look; operate: also silence, acknowledge, send data; admin: everything"
    )

    _secrets = field_validator("token")(not_empty)


class TlsSettings(Model):
    """A certificate for HTTPS; files that are renewed are taken up within a minute."""

    cert: ExistingPath = Field(description="the certificate and those between it and the root, PEM")
    key: ExistingPath = Field(description="its private key, PEM, without a password")


class WebSettings(Model):
    """The page and the API."""

    listen: str = Field(default="127.0.0.1:8600", description="HOST:PORT; [::1]:PORT for IPv6; port 0 is any free one")
    token: SecretStr | None = Field(default=None, description="may do everything; needed unless HOST is loopback")
    tokens: dict[Name, TokenSettings] = Field(default_factory=dict, description="further tokens, by who has them")
    tls: TlsSettings | None = Field(default=None, description="without it, plain HTTP")
    external_url: str | None = Field(
        default=None, description="how people reach the page: https://HOST/PATH, for links in messages"
    )
    base_path: str | None = Field(
        default=None, description="path that a reverse proxy puts the page under; without it, that of external_url"
    )
    trusted_proxies: tuple[str, ...] = Field(
        default=(), description="addresses or networks whose X-Forwarded-For and -Proto are believed"
    )
    requests_per_second: float = Field(
        default=100.0,
        gt=0,
        allow_inf_nan=False,
        description="of one token from one address",
    )
    event_streams: int = Field(default=100, ge=1, le=10_000, description="listeners at once, open pages among them")

    @field_validator("token")
    @classmethod
    def _token(cls, token: SecretStr | None) -> SecretStr | None:
        return None if token is None else not_empty(token)

    @field_validator("listen")
    @classmethod
    def _listen(cls, listen: str) -> str:
        host, separator, port = listen.rpartition(":")
        good = separator and host and port.isascii() and port.isdigit() and int(port) < _PORTS
        if not good or (":" in host and not (host.startswith("[") and host.endswith("]"))):
            raise PydanticCustomError(
                "listen", "`{listen}` is not HOST:PORT such as 127.0.0.1:8600", {"listen": listen}
            )
        return listen

    @field_validator("external_url")
    @classmethod
    def _external(cls, url: str | None) -> str | None:
        if url is None:
            return None
        try:
            parts = urlsplit(url)
            good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
            good = good and parts.username is None and not parts.query and not parts.fragment
            good = good and _PATH.fullmatch(parts.path.rstrip("/")) is not None
        except ValueError:
            good = False
        if not good:
            raise PydanticCustomError("web_url", "is no address of a page: write https://HOST or https://HOST/PATH")
        return url.rstrip("/")

    @field_validator("base_path")
    @classmethod
    def _base(cls, path: str | None) -> str | None:
        if path is not None and not _PATH.fullmatch(path.rstrip("/")):
            raise PydanticCustomError("base_path", "is no path: write /rotation")
        return None if path is None else path.rstrip("/")

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in proxies:
            try:
                ipaddress.ip_network(proxy)
            except ValueError:
                raise PydanticCustomError(
                    "proxy", "`{proxy}` is no address or network: write 127.0.0.1 or 10.0.0.0/8", {"proxy": proxy}
                ) from None
        return proxies

    @property
    def host(self) -> str:
        """The address or name to bind, without brackets."""
        return self.listen.rpartition(":")[0].removeprefix("[").removesuffix("]")

    @property
    def port(self) -> int:
        """The port to bind; 0 is any free one."""
        return int(self.listen.rpartition(":")[2])

    @property
    def loopback(self) -> bool:
        """Whether only this machine can connect."""
        return _is_loopback(self.host)

    @property
    def path(self) -> str:
        """What comes before the page's own paths, without a slash at its end; usually empty."""
        return self.base_path if self.base_path is not None else urlsplit(self.external_url or "").path

    @property
    def address(self) -> str:
        """The page's address for links in messages, without a slash at its end."""
        return self.external_url or f"{'https' if self.tls else 'http'}://{self.listen}{self.path}"

    @property
    def proxies(self) -> tuple[Network, ...]:
        """Whose word about the client is taken."""
        return tuple(ipaddress.ip_network(proxy) for proxy in self.trusted_proxies)

    @property
    def named_tokens(self) -> Mapping[str, TokenSettings]:
        """Every token by name; `web.token` is `token`, for everything."""
        main = {"token": TokenSettings(token=self.token, scope="admin")} if self.token else {}
        return {**self.tokens, **main}

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if self.token is None and not self.tokens:
            if not self.loopback:
                raise PydanticCustomError(
                    "open_listen",
                    "`listen: {listen}` can be reached from other machines and there is no `token`: "
                    "set one, or listen on 127.0.0.1",
                    {"listen": self.listen},
                )
            if self.external_url and not _is_loopback(urlsplit(self.external_url).hostname or ""):
                raise PydanticCustomError(
                    "open_address",
                    "`external_url` is an address that others can reach and there is no `token`: set one",
                )
        return self

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if self.token is not None and "token" in self.tokens:
            raise PydanticCustomError("token_name", "`token` is the name of `web.token`: rename the other")
        values = [each.token.get_secret_value() for each in self.named_tokens.values()]
        if len(set(values)) < len(values):
            raise PydanticCustomError("same_token", "two of `tokens` are the same: who is who could not be told")
        return self


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
