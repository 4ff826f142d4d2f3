"""A host's name → its addresses, and whether each is public: asked before a connection to a host that a sitemap or a setting names."""

from __future__ import annotations

import ipaddress
import socket


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host."""
    return sorted({str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)})


def is_public(address: str) -> bool:
    """Return whether an address is one that everybody on the Internet would reach the same host by."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour
        if parsed in ipaddress.ip_network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return parsed.is_global and not parsed.is_multicast and not parsed.is_reserved


def is_loopback(address: str) -> bool:
    """Return whether an address is this very machine."""
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback
