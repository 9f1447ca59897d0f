"""What every client of Redis here has in common: the address with user, password and authority."""

from __future__ import annotations

from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from storage.settings import RedisSettings


def address(settings: RedisSettings) -> str:
    """The URL with all that redis-py needs to know, for ``from_url``.

    User and password of the settings go before those that the URL itself names. It holds a secret:
    never log it.
    """
    parts = urlsplit(settings.redis_url)
    userinfo, _, host = parts.netloc.rpartition("@")
    username, _, password = userinfo.partition(":")
    if settings.redis_username:
        username = quote(settings.redis_username, safe="")
    if given := settings.redis_password.get_secret_value():
        password = quote(given, safe="")
    netloc = f"{username}:{password}@{host}" if username or password else host
    query = parts.query
    if settings.redis_ca is not None:
        query = "&".join(filter(None, [query, urlencode({"ssl_ca_certs": str(settings.redis_ca)})]))
    return urlunsplit(parts._replace(netloc=netloc, query=query))
