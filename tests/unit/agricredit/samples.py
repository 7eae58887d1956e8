"""A partner, a request and a consent to vary in tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.agricredit.domain import Agreement, Consent, ConsentRequest, Item, Partner

NOW = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
BOTH = (Item.LAND_RIGHTS, Item.SUBSIDIES)

LOAN = Agreement(
    purpose_code="loan_application",
    purpose_text="涉农贷款申请",
    items=frozenset(BOTH),
    max_validity_days=180,
    max_uses=100,
    keeping="自作出决定之日起30日",
)
BANK = Partner(
    partner_id="rural-bank",
    name="示范农村商业银行",
    contact="电话 0751-000-0000",
    encryption_jwk={},
    daily_fetches=1000,
    open_requests=3,
    agreements={"loan_application": LOAN},
)
REQUEST = ConsentRequest(
    request_id=UUID(int=1),
    subject_id=UUID(int=2),
    partner_id="rural-bank",
    partner_name=BANK.name,
    partner_contact=BANK.contact,
    purpose_code="loan_application",
    purpose_text=LOAN.purpose_text,
    items=BOTH,
    max_uses=10,
    requested_at=NOW,
    answer_by=NOW + timedelta(days=30),
    valid_until=NOW + timedelta(days=90),
    text="文本",
    text_sha256="a" * 64,
)
CONSENT = Consent(
    consent_id=UUID(int=3),
    subject_id=UUID(int=2),
    request_id=UUID(int=1),
    partner_id="rural-bank",
    partner_name=BANK.name,
    purpose_code="loan_application",
    items=BOTH,
    max_uses=10,
    uses=0,
    granted_at=NOW,
    valid_until=NOW + timedelta(days=90),
    revoked_at=None,
    text_sha256="a" * 64,
)
