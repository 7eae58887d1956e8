"""HTTP requests and responses as plain values, so that the protocol stands apart from the sockets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from authlib.oauth2.rfc6749 import OAuth2Payload, OAuth2Request
from multidict import MultiDict


@dataclass(frozen=True)
class Incoming:
    """An HTTP request as far as the protocol looks at it."""

    method: str
    uri: str
    query: MultiDict[str] = field(default_factory=MultiDict)
    form: MultiDict[str] = field(default_factory=MultiDict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Outgoing:
    """An HTTP response: `body` is a JSON object, or text."""

    status: int
    body: Mapping[str, object] | str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


class Payload(OAuth2Payload):
    """A request's parameters, from its query and its form; of a repeated one the first counts."""

    def __init__(self, values: MultiDict[str]) -> None:
        self._values = values

    @property
    def data(self) -> dict[str, str]:
        return dict(reversed(list(self._values.items())))

    @property
    def datalist(self) -> dict[str, list[str]]:
        return {name: self._values.getall(name) for name in self._values}


class Request(OAuth2Request):
    """A request as Authlib reads it."""

    def __init__(self, incoming: Incoming) -> None:
        super().__init__(incoming.method, incoming.uri, headers=incoming.headers)
        self._incoming = incoming
        self.payload = Payload(MultiDict([*incoming.query.items(), *incoming.form.items()]))

    @property
    def args(self) -> dict[str, str | None]:
        return dict(self._incoming.query)

    @property
    def form(self) -> dict[str, str]:
        return dict(self._incoming.form)
