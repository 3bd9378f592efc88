"""Which databases a team lead may add: servers in the internet, and those that LEAD_DATABASE_HOSTS names.

An admin may name every address; a lead's word alone must not open the network behind the installation, its files, or
its own credentials. So no files and no sockets (a folder or a socket may be other teams'), no options that name files,
and user and password must be given, since the drivers else look for them in the process's environment.
"""

import re
import socket
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from django.conf import settings

from observability.outgoing import is_public
from text2sql.services.databases import url_check
from text2sql.targets.errors import UrlRejected
from text2sql.targets.urls import FILE_DIALECTS, target_url

OPTIONS: dict[str, frozenset[str]] = {
    "postgres": frozenset({"sslmode", "channel_binding", "sslrootcert"}),
    "mysql": frozenset({"charset"}),
}
HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?", re.ASCII)
# The same words for a name that nobody knows and one that leads inside: else it would tell which names there are.
UNREACHABLE = (
    "No server in the internet answers to this host. A database on a server inside the own network is added by an"
    " admin, unless the admin has named its host in LEAD_DATABASE_HOSTS."
)


def lead_url(url: str) -> str:
    """The URL as it is stored where a lead typed it: with the address that was checked.

    So a name that answers differently the next time opens nothing. A host that LEAD_DATABASE_HOSTS names is the admin's
    choice and is kept as it is. Asks the resolver. Raises UrlRejected.
    """
    dialect, parsed = url_check(url), target_url(url)
    if dialect in FILE_DIALECTS:
        raise UrlRejected("Database files are added by an admin. Give the URL of a database server.")
    host = (parsed.host or "").rstrip(".").lower()
    if not (host and parsed.username and parsed.password):
        raise UrlRejected("The URL must name host, user and password.")
    _options_check(dialect, parsed.query)
    if not _is_address(host) and not HOST_NAME.fullmatch(host):
        raise UrlRejected("The URL must name one host, by its name or address.")
    if not _is_named(host):
        address = _address(host)
        parsed = parsed.update_query_dict({"hostaddr": address}) if dialect == "postgres" else parsed.set(host=address)
    return parsed.render_as_string(hide_password=False)


def _options_check(dialect: str, query: Mapping[str, Any]) -> None:
    allowed = OPTIONS[dialect]
    # Elsewhere it is a file's name; `system` are the certificates that the machine trusts.
    if not allowed.issuperset(query) or query.get("sslrootcert", "system") != "system":
        raise UrlRejected(
            f"The URL has an option that only an admin may give. Allowed are {', '.join(sorted(allowed))}"
            f"{' (system only)' if 'sslrootcert' in allowed else ''}."
        )


def _is_address(host: str) -> bool:
    with suppress(ValueError):
        return bool(ip_address(host))
    return False


def _is_named(host: str) -> bool:
    names = [name.lower() for name in settings.LEAD_DATABASE_HOSTS]
    return host in names or any(name.startswith(".") and host.endswith(name) for name in names)


def _address(host: str) -> str:
    """Where the host is, if a lead may go to every address that it has."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise UrlRejected(UNREACHABLE) from None
    addresses = [str(sockaddr[0]) for *_, sockaddr in found]
    if not addresses or not all(_is_allowed(ip_address(address)) for address in addresses):
        raise UrlRejected(UNREACHABLE)
    return addresses[0]


def _is_allowed(address: IPv4Address | IPv6Address) -> bool:
    return is_public(address) or any(address in network for network in _networks())


def _networks() -> list[Any]:
    networks = []
    for entry in settings.LEAD_DATABASE_HOSTS:
        with suppress(ValueError):  # a name
            networks.append(ip_network(entry, strict=False))
    return networks
