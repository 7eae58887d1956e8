"""Starts the data node: settings, then adapters, service, server."""

from __future__ import annotations

from collections.abc import Sequence

import grpc
from onestop.datanode.v1 import datanode_pb2_grpc as pb_grpc

from core import clock, db, rpc
from core.config import ServiceConfig, load_config
from core.keyring import Keyring
from core.vault import Vault
from services.datanode.rpc import SERVICE, DataNodeServicer
from services.datanode.service import DataNode
from services.datanode.store import PgCatalogues, PgRegisters


async def main(config: ServiceConfig) -> None:
    """Serves until told to stop."""
    pool = await db.open_pool(config)
    vault = await Vault.open(pool, Keyring.load(config.keyring))
    node = DataNode(PgRegisters(pool, vault), PgCatalogues(pool), clock.now)
    contexts = rpc.context_reader(config, clock.now)

    def register(server: grpc.aio.Server) -> Sequence[str]:
        pb_grpc.add_DataNodeServiceServicer_to_server(DataNodeServicer(node, contexts), server)
        return [SERVICE]

    await rpc.serve(config, "datanode", register, tasks=[vault.keep_fresh], closers=[pool.close])


if __name__ == "__main__":
    settings = load_config(ServiceConfig)
    rpc.run("datanode", settings, lambda: main(settings))
