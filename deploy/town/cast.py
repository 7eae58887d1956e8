"""The demo cast: people and a company that are in every town, always the same.

Their citizen numbers use the serials that the generator leaves alone, so they never meet anybody else.
"""

from __future__ import annotations

from dataclasses import dataclass

from deploy.town import companies, model
from deploy.town.calendar import Day, day
from deploy.town.chance import chance
from deploy.town.land import Fields
from deploy.town.model import Company, Household, Insurance, Marriage, Person, RealEstate, VillageTown
from deploy.town.numbers import bank_card, citizen_number, uscc
from deploy.town.places import Office, Village, office, offices, rural_address, villages

COMMUNITY, FARM_VILLAGE = "440203001002", "440203102204"
"""新华街道五祖路社区 and 龙归镇龙归村, both in 武江区."""
COUNTY = "440203"

_RESERVED = 490
_COMPANY_SERIAL = 31**6 - 1


@dataclass(frozen=True)
class Player:
    """One of the cast: role in cast.json and login, which are the same, and who plays it."""

    role: str
    person: Person


def players(town: VillageTown) -> tuple[Player, ...]:
    """The people of the cast who appear in the demo, by role."""
    by_number = {person.number: person for person in town.people}
    return tuple(Player(role, by_number[number]) for role, number in NUMBERS.items())


def demo_office() -> Office:
    """The office that handles the demo's case: 武江区市场监督管理局."""
    return next(one for one in offices() if one.kind == "market_regulation" and one.county_code == COUNTY)


def _number(year: int, month: int, day_of_month: int, male: bool) -> str:
    return citizen_number(day(year, month, day_of_month), _RESERVED, male)


NUMBERS = {
    "applicant": _number(1990, 5, 18, False),
    "farmer": _number(1968, 9, 7, True),
    "lapsed": _number(1979, 2, 23, True),
}
"""Citizen numbers of the roles in cast.json."""


def make_cast() -> VillageTown:
    """The cast with everything that registers hold about them."""
    known = {village.code: village for village in villages()}
    community, farm_village = known[COMMUNITY], known[FARM_VILLAGE]
    applicant = _applicant_household(community)
    farmer = _farmer_household(farm_village)
    lapsed = _lapsed_household(community)
    people = [*applicant.members, *farmer.members, *lapsed.members]
    for person in people:
        person.digital = person.born <= day(2010)
    return VillageTown(community, people, [_company(applicant, community)])


def _applicant_household(village: Village) -> Household:
    """She wants to open a shop: ID card, register page, marriage and home in order."""
    home = _household(village, 90_001, f"{village.prefix}惠民北路15号3栋502房", day(2016, 3, 9), "购房落户")
    hers = _person(
        home,
        NUMBERS["applicant"],
        "林晓棠",
        model.HEAD,
        day(1990, 5, 18),
        education="20",
        phone="15400010001",
    )
    his = _person(
        home,
        _number(1988, 11, 2, True),
        "罗嘉铭",
        model.HUSBAND,
        day(1988, 11, 2),
        education="30",
        phone="15400010002",
    )
    child = _person(
        home, _number(2018, 6, 30, False), "罗思桐", model.DAUGHTER, day(2018, 6, 30), education="80"
    )
    child.marital = model.UNMARRIED
    _marry(his, hers, day(2014, 10, 18), "J440203-2014-001018")
    hers.real_estate = RealEstate(
        "440203001002GB00015F00030502",
        "粤（2016）武江区不动产权第0015502号",
        home.address,
        village.code,
        9_268,
        "共同共有",
        his.name,
        day(2016, 2, 25),
        mortgaged=False,
        sealed_up=False,
        state="in_force",
    )
    hers.insurance = _insurance("flexible", day(2013, 7, 1), 148, bank_card(10_001))
    his.insurance = _insurance("resident", day(2010, 1, 1), 190, bank_card(10_002))
    return home


def _farmer_household(village: Village) -> Household:
    """He farms under a family contract and has been paid for it every year."""
    home = _household(village, 90_001, rural_address(village, 3, 12), day(1985, 4, 2), None)
    home.group = 3
    his = _person(
        home, NUMBERS["farmer"], "钟水生", model.HEAD, day(1968, 9, 7), education="70", phone="15400010003"
    )
    hers = _person(
        home,
        _number(1970, 12, 21, False),
        "赖桂兰",
        model.WIFE,
        day(1970, 12, 21),
        education="70",
        phone="15400010004",
    )
    son = _person(
        home,
        _number(1996, 8, 15, True),
        "钟志强",
        model.SON,
        day(1996, 8, 15),
        education="30",
        phone="15400010005",
    )
    son.marital = model.UNMARRIED
    _marry(his, hers, day(1993, 1, 16), "J440203-1993-000116")
    fields = Fields(chance("cast:land"), village, first_household=9_000, first_parcel=90_000)
    contract = his.contract = fields.contract(home, parcel_count=5)
    contract.mortgaged, contract.disputed, contract.taken_in = False, False, 0
    his.insurance = _insurance("resident", day(2009, 12, 1), 201, bank_card(10_003))
    hers.insurance = _insurance("resident", day(2009, 12, 1), 201, bank_card(10_004))
    return home


def _lapsed_household(village: Village) -> Household:
    """His ID card has expired and his food permit was revoked; see licences.py. His name has a dot."""
    home = _household(village, 90_002, f"{village.prefix}工业路88号2栋301房", day(2004, 8, 17), "工作调动")
    his = _person(
        home,
        NUMBERS["lapsed"],
        "艾克拜尔·吐尔逊",
        model.HEAD,
        day(1979, 2, 23),
        education="60",
        phone="15400010006",
    )
    his.ethnicity, his.marital = "05", model.UNMARRIED
    his.insurance = _insurance("flexible", day(2005, 3, 1), 140, bank_card(10_005))
    return home


def _company(applicant: Household, village: Village) -> Company:
    husband = applicant.members[1]
    made = companies.make(
        uscc("9", "1", _COMPANY_SERIAL),
        companies.LIMITED,
        "韶关市武江区韶丹商贸有限公司",
        husband,
        village,
        established=day(2019, 4, 12),
        address=f"{village.prefix}新华路6号1栋101房",
        capital=100_000_000,
        industry="F5191",
        scope="国内贸易代理；食品销售；日用品批发",
        food=True,
    )
    made.digital = True
    return made


def _household(village: Village, serial: int, address: str, since: Day, reason: str | None) -> Household:
    return Household(f"{village.code[6:]}{serial:05}", "family", village, 0, address, since, reason)


def _person(
    home: Household,
    number: str,
    name: str,
    relation: str,
    born: Day,
    *,
    education: str,
    phone: str | None = None,
) -> Person:
    sex = model.MALE if int(number[16]) % 2 else model.FEMALE
    person = Person(number, name, sex, born, "01", education, model.MARRIED, relation, phone, home)
    home.members.append(person)
    return person


def _marry(his: Person, hers: Person, on: Day, number: str) -> None:
    where = office("civil_affairs", COUNTY).name
    his.marriage = hers.marriage = Marriage(
        number, his.number, his.name, hers.number, hers.name, on, None, "married", where
    )


def _insurance(scheme: str, since: Day, months: int, account: str) -> Insurance:
    base = 355_300 if scheme == "flexible" else None
    return Insurance(
        scheme, "paying", since, months, base, None, None, False, day(2026, 10), "韶关农村商业银行", account
    )
