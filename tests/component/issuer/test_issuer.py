"""The issuer as a server: mutual TLS, its database, and the development identity provider over HTTPS."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from joserfc.jwk import ECKey
from onestop.issuer.v1 import issuer_pb2 as pb
from onestop.issuer.v1 import issuer_pb2_grpc as pb_grpc

from core.clock import now
from core.config import Mode, PeerConfig, ServiceConfig
from core.errors import UnauthenticatedError
from core.es256 import Es256Keys
from core.identity import Subject
from core.rpc import build_server, channel
from core.status import from_rpc_error
from core.tokens import AUDIENCE, IssuerKeys, TokenVerifier
from deploy.town.seed_issuer import seed
from services.issuer.__main__ import provider_http
from services.issuer.oidc import ProviderSettings, ProviderTokens
from services.issuer.rpc import SERVICE, IssuerServicer
from services.issuer.service import TokenDesk
from services.issuer.signing import TokenSigner
from services.issuer.store import PgClientStore
from tests.component.gateway.pki import Authority, Pair
from tests.component.idp.harness import FARMER, RunningIdp, attempt, code_for, redeem, running_idp
from tests.conftest import PoolFactory
from tests.database import CityDatabase

THUMBPRINT = "A" * 43


@dataclass
class Issuer:
    """A running issuer."""

    address: str
    authority: Authority
    keys: Es256Keys

    def stub(self, name: str) -> tuple[pb_grpc.IssuerServiceAsyncStub, grpc.aio.Channel]:
        """A client whose certificate bears a name."""
        pair = self.authority.issue(name)
        config = PeerConfig(
            mode=Mode.DEVELOPMENT,
            tls_ca=self.authority.root,
            tls_cert=pair.certificate,
            tls_key=pair.key,
            issuer=self.address,
        )
        opened = channel(config, "issuer")
        return pb_grpc.IssuerServiceStub(opened), opened


@pytest.fixture
async def idp(tmp_path: Path) -> AsyncIterator[RunningIdp]:
    async with running_idp(tmp_path / "idp") as running:
        yield running


@pytest.fixture
async def issuer(
    tmp_path: Path, city_database: CityDatabase, pool: PoolFactory, idp: RunningIdp
) -> AsyncIterator[Issuer]:
    seed(city_database.admin_dsn)
    authority = Authority(tmp_path / "pki")
    pair: Pair = authority.issue("issuer", "localhost")
    keys = Es256Keys(ECKey.generate_key("P-256"))
    settings = ProviderSettings(idp.url, ("onestop", "onestop-gateway", "onestop-cli"))
    http = provider_http(tmp_path / "idp" / "ca.crt")
    desk = TokenDesk(
        clients=PgClientStore(await pool("issuer")),
        signer=TokenSigner(keys),
        citizens=ProviderTokens(settings, http, now),
        audience=AUDIENCE,
        token_life=timedelta(minutes=5),
        keys_life=timedelta(minutes=5),
        clock=now,
    )

    def register(server: grpc.aio.Server) -> Sequence[str]:
        pb_grpc.add_IssuerServiceServicer_to_server(IssuerServicer(desk), server)
        return [SERVICE]

    config = ServiceConfig(
        mode=Mode.DEVELOPMENT,
        tls_ca=authority.root,
        tls_cert=pair.certificate,
        tls_key=pair.key,
        listen="127.0.0.1:0",
        database_dsn_file=city_database.dsn_file("issuer"),
        keyring=city_database.keyring("issuer"),
    )
    server, port, _ = build_server(config, register)
    await server.start()
    yield Issuer(f"127.0.0.1:{port}", authority, keys)
    await server.stop(None)
    await http.aclose()


def _verifier(stub: pb_grpc.IssuerServiceAsyncStub) -> TokenVerifier:
    async def fetch() -> IssuerKeys:
        keys = await stub.GetKeys(pb.GetKeysRequest())
        return IssuerKeys(keys.jwks, keys.expires_at.ToDatetime(tzinfo=UTC))

    return TokenVerifier(fetch, now)


async def _reason(call: Awaitable[object]) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await call
    return from_rpc_error(refusal.value, "issuer").reason


async def test_a_machine_s_token_is_verified_by_the_parts(issuer: Issuer) -> None:
    stub, opened = issuer.stub("gateway")
    async with opened:
        issued = await stub.IssueToken(
            pb.IssueTokenRequest(
                client_id="rural-bank",
                scopes=["credit.fetch"],
                certificate_name="rural-bank",
                certificate_thumbprint=THUMBPRINT,
            )
        )
        verdict = await _verifier(stub).verify(issued.access_token, THUMBPRINT)

        assert verdict.caller.name == "rural-bank"
        assert verdict.caller.scopes == {"credit.fetch"}
        assert verdict.caller.subject is None
        assert verdict.expires_at == issued.expires_at.ToDatetime(tzinfo=UTC)
        assert verdict.expires_at - datetime.now(UTC) <= timedelta(minutes=5)
        with pytest.raises(UnauthenticatedError):
            await _verifier(stub).verify(issued.access_token, "B" * 43)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"certificate_name": "approval-platform"}, "INVALID_CLIENT"),
        ({"client_id": "another-bank"}, "INVALID_CLIENT"),
        ({"scopes": ["credit.fetch", "seal.use"]}, "INVALID_SCOPE"),
        ({"scopes": ["citizen"]}, "INVALID_SCOPE"),
        ({"client_id": "citizen"}, "INVALID_CLIENT"),
        ({"client_id": "Rural Bank"}, "REQUEST_INVALID"),
        ({"certificate_thumbprint": "short"}, "REQUEST_INVALID"),
    ],
    ids=str,
)
async def test_refusals_carry_the_words_of_rfc_6749(
    issuer: Issuer, change: dict[str, object], reason: str
) -> None:
    good: dict[str, object] = {
        "client_id": "rural-bank",
        "certificate_name": "rural-bank",
        "certificate_thumbprint": THUMBPRINT,
    }
    stub, opened = issuer.stub("gateway")
    async with opened:
        assert await _reason(stub.IssueToken(pb.IssueTokenRequest(**(good | change)))) == reason  # type: ignore[arg-type]  # fields by name


async def test_only_the_gateway_gets_tokens_and_every_part_gets_keys(issuer: Issuer) -> None:
    request = pb.IssueTokenRequest(
        client_id="rural-bank", certificate_name="rural-bank", certificate_thumbprint=THUMBPRINT
    )
    for name in ("rural-bank", "licence", "supervisor", "issuer"):
        stub, opened = issuer.stub(name)
        async with opened:
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await stub.IssueToken(request)
            assert refusal.value.code() is grpc.StatusCode.PERMISSION_DENIED

    stub, opened = issuer.stub("licence")
    async with opened:
        keys = json.loads((await stub.GetKeys(pb.GetKeysRequest())).jwks)["keys"]
    assert [key["kid"] for key in keys] == [issuer.keys.kid]


@pytest.mark.parametrize("kind", ["id_token", "access_token"])
async def test_a_person_who_signed_in_gets_our_token(issuer: Issuer, idp: RunningIdp, kind: str) -> None:
    async with idp.browser() as browser:
        wanted = attempt()
        tokens = (await redeem(browser, wanted, await code_for(browser, wanted))).json()
    stub, opened = issuer.stub("gateway")
    async with opened:
        exchanged = await stub.ExchangeCitizenToken(
            pb.ExchangeCitizenTokenRequest(subject_token=tokens[kind])
        )
        verdict = await _verifier(stub).verify(exchanged.access_token, "")

        assert verdict.caller.name == "citizen"
        assert verdict.caller.subject == Subject("111", FARMER.id_number)
        assert list(exchanged.scopes) == ["citizen"]


async def test_our_own_token_or_rubbish_is_not_a_citizen_s_token(issuer: Issuer) -> None:
    own = TokenSigner(issuer.keys).sign({"iss": "onestop-issuer", "id_number": FARMER.id_number})
    stub, opened = issuer.stub("gateway")
    async with opened:
        for token in (own, "x" * 40):
            call = stub.ExchangeCitizenToken(pb.ExchangeCitizenTokenRequest(subject_token=token))
            assert await _reason(call) == "CITIZEN_TOKEN_INVALID"


async def test_a_provider_that_cannot_prove_itself_lets_nobody_in(tmp_path: Path, idp: RunningIdp) -> None:
    foreign = Authority(tmp_path / "foreign")
    async with idp.browser() as browser:
        wanted = attempt()
        tokens = (await redeem(browser, wanted, await code_for(browser, wanted))).json()
    async with provider_http(foreign.root) as http:
        judged = ProviderTokens(ProviderSettings(idp.url, ("onestop-gateway",)), http, now)

        with pytest.raises(Exception, match="cannot be asked") as refusal:
            await judged.verify(tokens["id_token"])

    assert FARMER.id_number not in str(refusal.value)
