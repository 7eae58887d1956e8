"""What health, social security, welfare and housing offices hold about people, where it differs too."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from deploy.town import model
from deploy.town.calendar import (
    REFERENCE_DAY,
    REFERENCE_YEAR,
    Day,
    age_on,
    iso,
    new_year,
    year_of,
    years_later,
)
from deploy.town.model import (
    Allowance,
    Company,
    Death,
    Disability,
    Household,
    Insurance,
    Person,
    RealEstate,
)
from deploy.town.numbers import bank_card

BANKS = (
    "韶关农村商业银行",
    "中国农业银行韶关分行",
    "中国建设银行韶关分行",
    "中国工商银行韶关分行",
    "中国邮政储蓄银行韶关市分行",
)
_MONTHLY = {
    "subsistence": 82_500,
    "extreme_poverty": 132_000,
    "disability_living": 19_500,
    "disability_nursing": 26_100,
    "old_age": 5_000,
}
"""Standards of the model city, CNY cents a month."""


def bank(draw: float) -> str:
    """A bank of the city."""
    return BANKS[int(draw * len(BANKS))]


def decorate(random: Random, households: Sequence[Household], employers: Sequence[Company]) -> None:
    """Adds to each person what these offices hold."""
    draw = random.random
    for household in households:
        poor = draw() < 0.016
        for person in household.members:
            age = age_on(person.born)
            if age >= 16:
                person.insurance = _insurance(random, person, age, employers)
            if draw() < (0.012 if age < 60 else 0.045):
                person.disability = _disability(random, person, age)
            if age >= 60 and draw() < (0.006 if age < 75 else 0.03):
                _die(random, person)
            _allowances(random, person, age, len(household.members) if poor else 0)
        if draw() < 0.44:
            _home(random, household)


def _insurance(random: Random, person: Person, age: int, employers: Sequence[Company]) -> Insurance | None:
    draw = random.random()
    born_year = year_of(person.born)
    account = bank_card(int(random.random() * 10**12))
    started = new_year(min(max(born_year + 17 + int(random.random() * 8), 1994), REFERENCE_YEAR)) + int(
        draw * 300
    )
    started = min(started, REFERENCE_DAY - 20)
    months = int((REFERENCE_DAY - started) / 30.44 * (0.35 + 0.63 * random.random()))
    if age < 22 and draw < 0.7:
        return None
    if age >= 60:
        scheme = "employee" if draw < 0.3 else "resident"
        return Insurance(
            scheme, "receiving", started, max(months, 180), None, None, None, False, None, bank(draw), account
        )
    if draw < 0.36 and employers:
        employer = employers[int(random.random() * len(employers))]
        state = "suspended" if random.random() < 0.09 else "paying"
        last = _month(REFERENCE_DAY if state == "paying" else REFERENCE_DAY - 60 - int(random.random() * 900))
        base = 355_300 + int(random.random() ** 2 * 900_000)
        return Insurance(
            "employee",
            state,
            started,
            months,
            base,
            employer.name,
            employer.uscc,
            True,
            last,
            bank(draw * 2.7),
            account,
        )
    if draw < 0.46:
        return Insurance(
            "flexible",
            "paying",
            started,
            months,
            355_300,
            None,
            None,
            False,
            _month(REFERENCE_DAY),
            bank(draw * 2),
            account,
        )
    if draw < 0.9:
        last = _month(new_year(REFERENCE_YEAR) + int(random.random() * 200))
        return Insurance(
            "resident", "paying", started, months, None, None, None, False, last, bank(draw), account
        )
    return None


def _disability(random: Random, person: Person, age: int) -> Disability:
    category = "1234567"[int(random.random() * 7)]
    grade = "1234"[int(random.random() ** 0.6 * 4)]
    issued = min(
        REFERENCE_DAY - 30, max(person.born + 700, REFERENCE_DAY - 100 - int(random.random() * 4_300))
    )
    until = years_later(issued, 10)
    guardian = next(
        (other for other in person.household.members if other is not person and age_on(other.born) >= 18),
        None,
    )
    if age >= 18 and category not in "567":
        guardian = None
    return Disability(
        f"{person.number}{category}{grade}",
        category,
        grade,
        guardian.name if guardian else None,
        guardian.phone if guardian else None,
        issued,
        until,
        "expired" if until < REFERENCE_DAY else "in_force",
    )


def _die(random: Random, person: Person) -> None:
    """A death of the last two years. One in six is not yet known to the police, and pensions may go on."""
    died = REFERENCE_DAY - 3 - int(random.random() * 700)
    draw = random.random()
    late = draw < 0.16
    registered = min(REFERENCE_DAY, died + 1 + int(random.random() * (240 if late else 25)))
    source = ("hospital", "police", "funeral_home")[int(draw * 3)]
    person.death = Death(died, registered, source, f"{registered}{int(random.random() * 1e7):07}")
    person.known_dead = not late
    if person.insurance is not None and not late:
        person.insurance.state = "ended"
        person.insurance.last_paid_month = None


def _allowances(random: Random, person: Person, age: int, covered: int) -> None:
    kinds: list[tuple[str, int]] = []
    if covered and person.relation == model.HEAD:
        kinds.append(("subsistence", covered))
    if person.disability is not None and person.disability.grade in "12":
        kinds.append(("disability_nursing", 1))
        if covered:
            kinds.append(("disability_living", 1))
    if age >= 80 and random.random() < 0.93:
        kinds.append(("old_age", 1))
    if not kinds:
        return
    stopped = person.known_dead or random.random() < 0.05
    person.allowances = []
    for kind, persons in kinds:
        granted = years_later(person.born, 80) if kind == "old_age" else REFERENCE_DAY - 90
        granted = min(granted + int(random.random() * 60), REFERENCE_DAY - 60 - int(random.random() * 900))
        ended = person.death.died_on if person.death and stopped else REFERENCE_DAY - 30 if stopped else None
        person.allowances.append(
            Allowance(
                kind,
                min(granted, ended or granted),
                ended,
                _MONTHLY[kind] * persons,
                persons,
                bank(random.random()),
                bank_card(int(random.random() * 10**12)),
                "ended" if stopped else "paying",
            )
        )


def _home(random: Random, household: Household) -> None:
    """The home that the head, or the other of the couple, has registered; not always where they live."""
    members = household.members
    owner = members[0]
    spouse = members[1] if len(members) > 1 and members[1].relation in (model.WIFE, model.HUSBAND) else None
    draw = random.random()
    if spouse is not None and draw < 0.2:
        owner, spouse = spouse, owner
    if age_on(owner.born) < 18:
        return
    village = household.village
    since = max(years_later(owner.born, 20), REFERENCE_DAY - 8_000)
    registered = since + int(random.random() * max(1, REFERENCE_DAY - since - 10))
    serial = int(draw * 1e5)
    block = int(random.random() * 1e8)
    parcel = f"{village.county_code}{village.town_code[6:]}{village.code[9:]}GB{serial:05}"
    unit = f"{parcel}F{block % 10_000:04}{block // 10_000:04}"
    area = int((62 + random.random() * 78) * 100)
    owner.real_estate = RealEstate(
        unit,
        f"粤（{year_of(registered)}）{village.county}不动产权第{block % 10_000_000:07}号",
        household.address,
        village.code,
        area,
        "共同共有" if spouse is not None and draw < 0.6 else "单独所有",
        spouse.name if spouse is not None and draw < 0.6 else None,
        registered,
        draw > 0.72,
        draw < 0.004,
        "cancelled" if 0.004 < draw < 0.02 else "in_force",
    )


def _month(day: Day) -> Day:
    """The first of the day's month."""
    return day - int(iso(day)[8:]) + 1
