"""The registered clients and what each may ask for."""

from __future__ import annotations

import hmac
from collections.abc import Collection
from urllib.parse import urlsplit

from authlib.oauth2.rfc6749 import ClientMixin

from deploy.idp.config import ClientSettings

SCOPES = ("openid", "profile")


class Client(ClientMixin):
    """A registered client, as Authlib asks about it."""

    def __init__(self, settings: ClientSettings) -> None:
        self.settings = settings
        self.client_id = settings.client_id
        self.client_metadata = {"post_logout_redirect_uris": list(settings.post_logout_redirect_uris)}

    def get_client_id(self) -> str:
        """The client's id."""
        return self.client_id

    def get_default_redirect_uri(self) -> str:
        """None: each request names its own."""
        return ""

    def get_allowed_scope(self, scope: Collection[str] | str) -> str:
        """Those of the scopes asked for that there are; unknown ones are left out (OIDC Core 3.1.2.1)."""
        asked = scope.split() if isinstance(scope, str) else list(scope or SCOPES)
        return " ".join(name for name in SCOPES if name in asked)

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Registered letter by letter; or, for a native program, loopback at any port (RFC 8252 7.3)."""
        if redirect_uri in self.settings.redirect_uris:
            return True
        if not self.settings.loopback:
            return False
        try:
            parts = urlsplit(redirect_uri)
            port = parts.port
        except ValueError:
            return False
        return port is not None and redirect_uri == f"http://127.0.0.1:{port}/callback"

    def check_client_secret(self, client_secret: str) -> bool:
        """Whether it is the secret in the client's file."""
        if self.settings.secret_file is None:
            return False
        secret = self.settings.secret_file.read_text(encoding="utf-8").strip()
        return hmac.compare_digest(client_secret.encode(), secret.encode())

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """A client with a secret shows it; one without shows none."""
        if self.settings.secret_file is None:
            return method == "none"
        return method in {"client_secret_basic", "client_secret_post"}

    def check_response_type(self, response_type: str) -> bool:
        """Codes only."""
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        """Codes only; nothing is refreshed."""
        return grant_type == "authorization_code"
