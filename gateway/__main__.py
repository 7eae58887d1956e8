"""Starts the gateway: `python -m gateway`."""

from __future__ import annotations

from core.config import load_config
from core.rpc import run
from gateway.config import GatewayConfig
from gateway.parts import open_parts
from gateway.server import serve


async def main(config: GatewayConfig) -> None:
    """Opens what is shared, and serves."""
    async with open_parts(config) as parts:
        await serve(parts)


if __name__ == "__main__":
    settings = load_config(GatewayConfig)
    run("gateway", settings, lambda: main(settings))
