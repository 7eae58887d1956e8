"""What operators do with companies' credentials, by their commands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

import cli.remote.__main__ as command
from deploy.local.pki import open_authority
from services.eseal.remote.making import CERTIFICATE_LIFE
from services.eseal.trust.authority import SealAuthority
from tests.companies import COMPANY, COMPANY_CODE
from tests.component.eseal.companies import APPLICATION, Company, digest_of, prepared
from tests.component.eseal.harness import Desk
from tests.component.eseal.test_remote import refused

Command = Callable[..., tuple[int, str, str]]
DIGESTS = [digest_of("contract")]
PREPARE = ["prepare", "--owner", COMPANY_CODE, "--owner-name", COMPANY, "--holder", "legal.rep"]


@pytest.fixture
def onestop(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """`onestop remote`, in a city whose database is the desk's."""
    (tmp_path / "pki").mkdir()
    open_authority(tmp_path / "pki" / "seal-ca", "a seal authority", desk.clock())
    monkeypatch.setenv("ONESTOP_HOME", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", desk.database.admin_dsn)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["onestop remote", *words])
        try:
            code = command.main()
        except SystemExit as end:
            code = int(str(end.code))
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def issued(folder: Path, desk: Desk, request: x509.CertificateSigningRequest) -> bytes:
    """What the authority in a folder answers to a request, PEM."""
    authority = SealAuthority.load(folder / "seal-ca.crt", folder / "seal-ca.key")
    key = request.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    certificate = authority.issue(
        key,
        seal_name=COMPANY,
        owner_code=COMPANY_CODE,
        owner_name=COMPANY,
        valid_from=desk.clock() - timedelta(minutes=5),
        valid_until=desk.clock() + CERTIFICATE_LIFE,
    )
    return x509.load_der_x509_certificate(certificate).public_bytes(Encoding.PEM)


async def test_a_credential_goes_from_an_operators_hands_to_its_end(desk: Desk, onestop: Command) -> None:
    code, _, errors = await asyncio.to_thread(onestop, *PREPARE, "--application", APPLICATION)
    assert (code, "knows no application" in errors) == (1, True)
    await desk.execute(
        "INSERT INTO issuer.client (client_id, certificate_name, scopes) VALUES ($1, $1, $2)"
        " ON CONFLICT DO NOTHING",
        APPLICATION,
        ["service"],
    )

    code, said, errors = await asyncio.to_thread(onestop, *PREPARE, "--application", APPLICATION)
    assert (code, errors) == (0, "")
    first, second = said.splitlines()
    company = Company(
        desk,
        UUID(first.removeprefix("credential ")),
        second.removeprefix("enrolment code ").partition(",")[0],
    )
    assert "prepared" in (await asyncio.to_thread(onestop, "list"))[1]
    await company.enrol()
    code, said, _ = await asyncio.to_thread(onestop, "certify")
    assert (code, said) == (0, f"{company.credential_id} is certified\n")
    sad = (await company.authorise(DIGESTS)).sad

    one = str(company.credential_id)
    assert (await asyncio.to_thread(onestop, "lock", one))[0] == 0
    assert await refused(company.sign(sad, DIGESTS)) == "SAD_INVALID"
    assert await refused(company.authorise(DIGESTS)) == "CREDENTIAL_LOCKED"
    assert "ready locked" in (await asyncio.to_thread(onestop, "list", "--owner", COMPANY_CODE))[1]
    assert (await asyncio.to_thread(onestop, "unlock", one))[0] == 0
    await company.authorise(DIGESTS)
    code, said, _ = await asyncio.to_thread(onestop, "revoke", one)
    assert (code, said) == (0, f"{one} is revoked, its key is gone\n")
    assert await refused(company.authorise(DIGESTS)) == "CREDENTIAL_NOT_READY"
    assert company.code not in (await asyncio.to_thread(onestop, "list"))[1]


async def test_a_certificate_of_a_real_authority_is_taken_if_we_would_believe_it(
    desk: Desk, onestop: Command, tmp_path: Path
) -> None:
    company = await prepared(desk)
    one, file = str(company.credential_id), tmp_path / "issued.pem"
    code, _, errors = await asyncio.to_thread(onestop, "request", one)
    assert (code, "no such credential waits" in errors) == (1, True)
    await company.enrol()
    code, text, _ = await asyncio.to_thread(onestop, "request", one)
    assert code == 0
    request = x509.load_pem_x509_csr(text.encode())

    (tmp_path / "elsewhere").mkdir()
    open_authority(tmp_path / "elsewhere" / "seal-ca", "another authority", desk.clock())
    file.write_bytes(issued(tmp_path / "elsewhere", desk, request))
    code, _, errors = await asyncio.to_thread(onestop, "import", one, "--certificate", str(file))
    assert (code, "authority that is believed" in errors) == (1, True)
    assert await refused(company.authorise(DIGESTS)) == "CREDENTIAL_NOT_READY"

    file.write_bytes(issued(tmp_path / "pki", desk, request))
    code, said, errors = await asyncio.to_thread(onestop, "import", one, "--certificate", str(file))
    assert (code, errors) == (0, "")
    assert "the credential signs, from " in said
    await company.sign((await company.authorise(DIGESTS)).sad, DIGESTS)


async def test_what_there_is_not_is_said_to_be_not_there(onestop: Command) -> None:
    nobody = str(UUID(int=7))

    for name in ("lock", "unlock", "revoke"):
        code, said, _ = await asyncio.to_thread(onestop, name, nobody)
        assert (code, said) == (1, "there is no such credential\n")
    assert (await asyncio.to_thread(onestop, "melt"))[0] == 2
    assert (await asyncio.to_thread(onestop, "certify"))[1] == "no credential waits for a certificate\n"
