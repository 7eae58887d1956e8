"""The peer as uvicorn starts it: `uvicorn tests.bench.peers.app:app`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from tests.bench.peers import farmers, licences, matters
from tests.bench.peers.catalogue import load_forms, load_types
from tests.bench.peers.database import open_engine, sessions_of
from tests.bench.peers.farmers import Envelope
from tests.bench.peers.settings import Settings
from tests.bench.peers.subjects import index_of


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """What a worker keeps from its start to its end."""
    settings = Settings()  # type: ignore[call-arg]  # the environment gives them
    engine = open_engine(settings)
    app.state.sessions = sessions_of(engine)
    app.state.holder_index = index_of(settings.keys, "licence")
    app.state.register_index = index_of(settings.keys, "datanode")
    app.state.types = load_types()
    app.state.forms = load_forms(matters.REGISTERS)
    app.state.envelope = Envelope(settings.keys / "answer-signing.key")
    yield
    await engine.dispose()


app = FastAPI(title="The peer of the bench", lifespan=lifespan)
for area in (licences, matters, farmers):
    app.include_router(area.router)
