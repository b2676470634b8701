"""Which host names mean this machine."""

from ipaddress import ip_address


def is_loopback(host: str | None) -> bool:
    """Tell whether a host name or address (RFC 5735, 4291, 6761) means this machine; so does none."""
    if not host or host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
