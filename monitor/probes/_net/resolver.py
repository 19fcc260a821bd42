"""The names of `monitor.names`, where probes look for them."""

from monitor.names import Address, Lookup, Resolver, shared_resolver

__all__ = ["Address", "Lookup", "Resolver", "shared_resolver"]
