"""Who is calling: JSON Web Tokens signed with the service's secret key (RFC 7519, HS256 only)."""

from __future__ import annotations

import time
from dataclasses import dataclass

import jwt

from penstock.core.errors import ConfigurationError, PenstockError

ALGORITHM = "HS256"
ACT_AS = "runs:act-as"
READ_ALL = "runs:read-all"
LEAST_KEY_LENGTH = 32


class NotAuthenticatedError(PenstockError):
    """The request carries no valid token; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller: the token's subject and scopes."""

    actor: str
    scopes: frozenset[str] = frozenset()

    def may_act_as(self, actor: str) -> bool:
        """Whether this caller may start runs for ``actor``."""
        return actor == self.actor or ACT_AS in self.scopes

    def may_read(self, actor: str) -> bool:
        """Whether this caller may see the runs of ``actor``."""
        return actor == self.actor or READ_ALL in self.scopes


class Authenticator:
    """Makes and checks tokens."""

    def __init__(self, secret_key: str | None) -> None:
        """Raises ``ConfigurationError`` without a key of at least 32 characters."""
        if secret_key is None or len(secret_key) < LEAST_KEY_LENGTH:
            raise ConfigurationError(
                f"PENSTOCK_SECRET_KEY must be set to at least {LEAST_KEY_LENGTH} characters: it signs tokens "
                "and webhooks. Make one with `python -c 'import secrets; print(secrets.token_urlsafe(32))'`"
            )
        self._key = secret_key

    def issue(self, actor: str, *, scopes: frozenset[str] = frozenset(), lifetime_seconds: int = 3600) -> str:
        """A token for ``actor``, valid from now for ``lifetime_seconds``."""
        now = int(time.time())
        claims = {"sub": actor, "iat": now, "exp": now + lifetime_seconds, "scope": " ".join(sorted(scopes))}
        return jwt.encode(claims, self._key, algorithm=ALGORITHM)

    def authenticate(self, authorization: str | None) -> Caller:
        """Read an ``Authorization: Bearer …`` header; raise ``NotAuthenticatedError`` saying why not."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise NotAuthenticatedError("send a token: Authorization: Bearer <token>")
        try:
            claims = jwt.decode(
                token.strip(), self._key, algorithms=[ALGORITHM], options={"require": ["sub", "exp"]}
            )
        except jwt.ExpiredSignatureError:
            raise NotAuthenticatedError("the token has expired: get a new one") from None
        except jwt.InvalidAlgorithmError:
            raise NotAuthenticatedError(f"the token must be signed with {ALGORITHM}") from None
        except jwt.InvalidTokenError as error:
            raise NotAuthenticatedError(f"the token is not valid: {error}") from None
        subject, scope = claims["sub"], claims.get("scope", "")
        if not isinstance(subject, str) or not subject or not isinstance(scope, str):
            raise NotAuthenticatedError("the token's sub must be a name and its scope a text")
        return Caller(subject, frozenset(scope.split()))
