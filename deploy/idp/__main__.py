"""Starts the development identity provider: `python -m deploy.idp`."""

from __future__ import annotations

import asyncio
import signal
import ssl
import sys
from contextlib import suppress

import uvloop
from aiohttp import web

from core import log, trace
from core.config import Mode, load_config
from core.db import open_pool
from core.keyring import Keyring
from core.vault import Vault
from deploy.idp.accounts import ensure_password
from deploy.idp.app import IdpApp
from deploy.idp.config import IdpConfig
from deploy.idp.keys import open_signing_key
from deploy.idp.provider import Provider
from deploy.idp.signin import SignIn
from deploy.idp.store import AccountStore

DRAIN_SECONDS = 5.0


async def run(config: IdpConfig) -> None:
    """Serves until SIGTERM or SIGINT."""
    pool = await open_pool(config)
    try:
        vault = await Vault.open(pool, Keyring.load(config.keyring))
        store = AccountStore(pool, vault)
        await store.keep_shared_password(ensure_password(config.password_path()))
        key = open_signing_key(config.signing_key_path())
        provider = Provider(config.issuer_url, key, config.registered_clients(), config.token_lifetime)
        sign_in = SignIn(store, config.failed_logins)
        app = IdpApp(provider, sign_in, store, config.session_lifetime).build()
        await _serve(app, config, vault)
    finally:
        await pool.close()


async def _serve(app: web.Application, config: IdpConfig, vault: Vault) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    tls.load_cert_chain(config.tls_cert, config.tls_key)
    host, _, port = config.listen.rpartition(":")
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=DRAIN_SECONDS)
    fresh = asyncio.create_task(vault.keep_fresh())
    await runner.setup()
    try:
        await web.TCPSite(runner, host, int(port), ssl_context=tls).start()
        log.get_logger().info("listening", address=config.listen)
        stop = asyncio.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, stop.set)
        await stop.wait()
    finally:
        await runner.cleanup()
        fresh.cancel()
        with suppress(asyncio.CancelledError):
            await fresh


def main() -> None:
    """Refuses to start where real people could come by."""
    config = load_config(IdpConfig)
    if config.mode is not Mode.DEVELOPMENT:
        print(
            "ONESTOP_MODE: this identity provider is for development; set your own provider", file=sys.stderr
        )
        raise SystemExit(2)
    log.configure("idp", config.log_level)
    trace.configure("idp")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(config))


if __name__ == "__main__":
    main()
