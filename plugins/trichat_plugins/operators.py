"""Operators are people who connect from an address in `operators` of `[server]`."""

from trichat import Client, hookimpl


class Operators:
    """Permits people to operate by their address. Without it, nobody is an operator unless another plugin says so."""

    @hookimpl
    def permits(self, client: Client, action: str) -> bool:
        """Judge clients of the line protocol by their address. On other fronts, it may be that of a proxy."""
        if action != "operate" or client.front != "line":
            return False
        return any(client.address in network for network in client.server.options.operators)
