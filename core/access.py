"""Who may call what: the one table of gRPC methods and the certificate names listed for each.

What is not listed is refused. `gateway` brings outside callers' requests; `supervisor` asks for health.
"""

from __future__ import annotations

COMPOSERS = frozenset({"licence", "autofill", "eseal", "agricredit"})
"""The services that compose answers which leave the system, and therefore append entries."""

RELEASING_PARTS = COMPOSERS | {"ledger"}
"""With the ledger itself, which shows people the entries about them: their answers leave with a receipt."""

EXPORT = frozenset({"export"})
"""The operators' command that exports a period of the log: a disclosure that no service composes."""

PRUNE = frozenset({"prune"})
"""The operators' command that prunes the log when the law's time is over: an act of no service's."""

GATEWAY = frozenset({"gateway"})
EVERY_PART = COMPOSERS | {"gateway", "datanode", "ledger"}
ANYBODY = EVERY_PART | {"issuer", "supervisor"}

STANDS_BY = "stands_by"
"""The name under which health tells of a process that may not take traffic now, and is well: it stands by."""

CALLERS: dict[str, frozenset[str]] = {
    "/onestop.ledger.v1.LedgerService/AppendBatch": COMPOSERS | EXPORT | PRUNE,
    "/onestop.ledger.v1.LedgerService/ListOpenIntents": COMPOSERS | PRUNE,
    "/onestop.ledger.v1.LedgerService/GetReceipt": GATEWAY,
    "/onestop.ledger.v1.LedgerService/ListDisclosures": GATEWAY,
    "/onestop.ledger.v1.LedgerService/GetCheckpoint": GATEWAY,
    "/onestop.ledger.v1.LedgerService/GetTile": GATEWAY,
    "/onestop.ledger.v1.LedgerService/GetPolicy": GATEWAY,
    "/onestop.ledger.v1.LedgerService/ListContinuations": GATEWAY,
    "/onestop.ledger.v1.LedgerService/ListWitnesses": GATEWAY,
    "/onestop.ledger.v1.LedgerService/GetLastReleased": frozenset({"ledger"}),
    "/onestop.issuer.v1.IssuerService/IssueToken": GATEWAY,
    "/onestop.issuer.v1.IssuerService/ExchangeCitizenToken": GATEWAY,
    "/onestop.issuer.v1.IssuerService/GetKeys": EVERY_PART,
    "/onestop.licence.v1.LicenceService/BatchSearchLicences": GATEWAY,
    "/onestop.licence.v1.LicenceService/BatchGetLicences": GATEWAY,
    "/onestop.licence.v1.LicenceService/BatchVerifyLicences": GATEWAY,
    "/onestop.licence.v1.LicenceService/BatchReadLicenceFields": frozenset({"autofill"}),
    "/onestop.datanode.v1.DataNodeService/BatchReadRecords": frozenset({"autofill", "agricredit"}),
    "/onestop.datanode.v1.DataNodeService/ListResources": frozenset({"autofill", "agricredit"}),
    "/onestop.autofill.v1.AutofillService/ListMatters": GATEWAY,
    "/onestop.autofill.v1.AutofillService/GetMatter": GATEWAY,
    "/onestop.autofill.v1.AutofillService/BatchAutofill": GATEWAY,
    "/onestop.autofill.v1.AutofillService/BatchVerifyFields": GATEWAY,
    "/onestop.eseal.v1.EsealService/ListSeals": GATEWAY,
    "/onestop.eseal.v1.EsealService/SignDocument": GATEWAY,
    "/onestop.eseal.v1.EsealService/VerifyDocument": GATEWAY,
    "/onestop.eseal.v1.EsealService/CheckDocument": GATEWAY,
    "/onestop.eseal.v1.EsealService/BatchVerifyDigests": GATEWAY,
    "/onestop.eseal.v1.BulkSealService/SealDocuments": GATEWAY,
    "/onestop.eseal.v1.TemplateService/ListTemplates": GATEWAY,
    "/onestop.eseal.v1.TemplateService/SignTemplate": GATEWAY,
    "/onestop.eseal.v1.TemplateService/FindSealedDocument": GATEWAY,
    "/onestop.eseal.v1.RemoteSigningService/ListCredentials": GATEWAY,
    "/onestop.eseal.v1.RemoteSigningService/GetCredential": GATEWAY,
    "/onestop.eseal.v1.RemoteSigningService/EnrolCredential": GATEWAY,
    "/onestop.eseal.v1.RemoteSigningService/ChangeFactor": GATEWAY,
    "/onestop.eseal.v1.RemoteSigningService/AuthorizeCredential": GATEWAY,
    "/onestop.eseal.v1.RemoteSigningService/SignHashes": GATEWAY,
    "/onestop.eseal.v1.RemoteSigningService/SignDocuments": GATEWAY,
    "/onestop.eseal.v1.RemoteSigningService/TimestampHash": GATEWAY,
    "/onestop.agricredit.v1.AgriCreditService/CreateConsentRequest": GATEWAY,
    "/onestop.agricredit.v1.AgriCreditService/GetConsentRequest": GATEWAY,
    "/onestop.agricredit.v1.AgriCreditService/ListConsentRequests": GATEWAY,
    "/onestop.agricredit.v1.AgriCreditService/GrantConsent": GATEWAY,
    "/onestop.agricredit.v1.AgriCreditService/RevokeConsent": GATEWAY,
    "/onestop.agricredit.v1.AgriCreditService/BatchFetchLandRights": GATEWAY,
    "/onestop.agricredit.v1.AgriCreditService/BatchFetchSubsidies": GATEWAY,
    "/onestop.agricredit.v1.AgriCreditService/GetAnswerKeys": GATEWAY,
    "/grpc.health.v1.Health/Check": ANYBODY,
    "/grpc.health.v1.Health/Watch": ANYBODY,
    "/grpc.health.v1.Health/List": ANYBODY,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": frozenset({"supervisor"}),
}

WITHOUT_RECEIPT: dict[str, str] = {
    "/onestop.autofill.v1.AutofillService/ListMatters": "which matters there are is published",
    "/onestop.autofill.v1.AutofillService/GetMatter": "a matter's form is published; it holds nobody's data",
    "/onestop.eseal.v1.EsealService/ListSeals": "which seals an office may use: nobody's data",
    "/onestop.eseal.v1.EsealService/CheckDocument": "says what a file shows, to whoever has it",
    "/onestop.eseal.v1.TemplateService/ListTemplates": "which templates an office may use: nobody's data",
    "/onestop.eseal.v1.TemplateService/FindSealedDocument": "that a number was sealed, to whoever has it",
    "/onestop.eseal.v1.RemoteSigningService/ListCredentials": "an application's own; certificates are public",
    "/onestop.eseal.v1.RemoteSigningService/GetCredential": "an application's own; certificates are public",
    "/onestop.eseal.v1.RemoteSigningService/TimestampHash": "an authority's word on the time",
    "/onestop.agricredit.v1.AgriCreditService/GetAnswerKeys": "public keys",
    "/onestop.issuer.v1.IssuerService/IssueToken": "a caller's own credential",
    "/onestop.issuer.v1.IssuerService/ExchangeCitizenToken": "the gateway's own, for who has signed in",
    "/onestop.issuer.v1.IssuerService/GetKeys": "public keys",
    "/onestop.ledger.v1.LedgerService/GetReceipt": "is itself the record, given to whom it is about",
    "/onestop.ledger.v1.LedgerService/GetCheckpoint": "public",
    "/onestop.ledger.v1.LedgerService/GetTile": "public: hashes",
    "/onestop.ledger.v1.LedgerService/GetPolicy": "public keys",
    "/onestop.ledger.v1.LedgerService/ListContinuations": "public entries, about nobody",
    "/onestop.ledger.v1.LedgerService/ListWitnesses": "how witnesses stand, for the operators",
}
"""What the gateway may ask for without an entry in the ledger, and why.

`make check` compares this list with the contracts; what is not on it answers with a receipt or not at all."""


def releases(method: str) -> bool:
    """Whether the answers of a method leave the system and therefore come with a receipt each."""
    return method in _RELEASING


def permitted(method: str, peer: str) -> bool:
    """Whether a peer, by its certificate's name, may call a method."""
    return peer in CALLERS.get(method, frozenset())


def _service(method: str) -> str:
    """The part that serves a method."""
    return method.removeprefix("/onestop.").partition(".")[0]


_RELEASING = frozenset(
    method
    for method, callers in CALLERS.items()
    if callers & GATEWAY and _service(method) in RELEASING_PARTS and method not in WITHOUT_RECEIPT
)
