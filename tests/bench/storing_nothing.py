"""A ledger that answers like ours and stores nothing, for the price of the one that does.

`python -m tests.bench.storing_nothing`, with the ledger's own settings and another ONESTOP_LISTEN: the same
server, certificate and contract, receipts of the same form and length. There is no log behind it: nothing is
hashed, signed, kept or proved, so its receipts verify with no key.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime

import grpc
from onestop.common.v1 import receipt_pb2
from onestop.ledger.v1 import ledger_pb2 as pb
from onestop.ledger.v1 import ledger_pb2_grpc as pb_grpc

from core.config import ServiceConfig, load_config
from core.guard import Context, peer_name
from core.ledger import entry_of
from core.merkle import HASH_LENGTH
from core.note import Checkpoint, VerifierKey, signature_line
from core.rpc import run, serve
from services.ledger.domain import PART
from services.ledger.entry import Opening, leaf_bytes
from services.ledger.rpc import SERVICE

SIZE = 10_000_000
HEIGHT = 24
"""So many hashes has a proof in a log of this size."""
NOBODY = VerifierKey("onestop.example/ledger", os.urandom(32))


class StoringNothing(pb_grpc.LedgerServiceServicer):
    """Gives receipts as fast as they can be written down."""

    def __init__(self) -> None:
        self._leaf: tuple[bytes, bytes] | None = None
        self._hashes = [os.urandom(HASH_LENGTH) for _ in range(HEIGHT)]
        text = Checkpoint(NOBODY.name, SIZE, os.urandom(HASH_LENGTH)).text
        self._checkpoint = f"{text}\n{signature_line(NOBODY, os.urandom(64))}"

    async def AppendBatch(self, request: pb.AppendBatchRequest, context: Context) -> pb.AppendBatchResponse:
        """A receipt for each item."""
        return pb.AppendBatchResponse(results=[self._result(item, context) for item in request.items])

    async def ListOpenIntents(
        self, request: pb.ListOpenIntentsRequest, context: Context
    ) -> pb.ListOpenIntentsResponse:
        """None is open: none was kept."""
        return pb.ListOpenIntentsResponse()

    def _result(self, item: pb.AppendItem, context: Context) -> pb.AppendResult:
        if self._leaf is None:
            before, _, behind = _leaf_of(item, context).partition(item.item_id.encode())
            self._leaf = before, behind
        receipt = receipt_pb2.Receipt(
            id=item.item_id,
            entry=item.item_id.encode().join(self._leaf),
            index=SIZE - 1,
            tree_size=SIZE,
            hashes=self._hashes,
            checkpoint=self._checkpoint,
            answer_salt=item.answer_salt,
        )
        return pb.AppendResult(receipt=receipt)


def _leaf_of(item: pb.AppendItem, context: Context) -> bytes:
    entry = entry_of(item)
    opening = Opening.of(entry, os.urandom(32), os.urandom(32), lambda: os.urandom(32))
    return leaf_bytes(entry, opening, recorder=peer_name(context), time=datetime.now(UTC))


async def main(config: ServiceConfig) -> None:
    """Serves until SIGTERM or SIGINT."""

    def register(server: grpc.aio.Server) -> Sequence[str]:
        made = StoringNothing()  # type: ignore[abstract]  # what appenders call is all there is
        pb_grpc.add_LedgerServiceServicer_to_server(made, server)
        return [SERVICE]

    await serve(config, PART, register)


if __name__ == "__main__":
    settings = load_config(ServiceConfig)
    run(PART, settings, lambda: main(settings))
