"""Companies, cooperatives and sole traders, run by people of their village."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from deploy.town.calendar import REFERENCE_DAY, Day, age_on, years_later
from deploy.town.model import Company, CompanyState, Officer, Person
from deploy.town.numbers import uscc
from deploy.town.places import Village, office, rural_address, urban_address
from deploy.town.plan import Quota


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of market entity: code, name, USCC department and category, and how its name ends."""

    code: str
    name: str
    department: str
    category: str
    ending: str


SOLE_TRADER = Kind("9500", "个体工商户", "9", "2", "")
LIMITED = Kind("1130", "有限责任公司（自然人投资或控股）", "9", "1", "有限公司")
PROPRIETORSHIP = Kind("4540", "个人独资企业", "9", "1", "厂")
COOPERATIVE = Kind("9100", "农民专业合作社", "9", "3", "农民专业合作社")

_WORDS = "兴盛隆顺达和泰丰源鑫恒瑞康美佳悦宏润安诚信通利荣华福祥丹霞南岭浈武韶乐"
_TRADES = (
    ("食品店", "F5220", "食品销售；日用百货销售；卷烟零售（凭许可证经营）", True),
    ("餐饮店", "H6210", "餐饮服务；外卖递送服务", True),
    ("农家菜馆", "H6210", "餐饮服务；烟草制品零售（凭许可证经营）", True),
    ("百货商行", "F5211", "日用百货销售；文具用品零售；五金产品零售", False),
    ("五金经营部", "F5263", "五金产品零售；建筑材料销售；电线、电缆经营", False),
    ("汽车维修部", "O8111", "机动车修理和维护；汽车零配件零售", False),
    ("理发店", "O8040", "理发服务；生活美容服务；化妆品零售", False),
    ("建材经营部", "F5281", "建筑材料销售；建筑装饰材料销售", False),
    ("农资店", "F5167", "化肥销售；农药零售（凭许可证经营）；农作物种子经营", False),
    ("服装店", "F5232", "服装服饰零售；鞋帽零售", False),
)
_LINES = (
    ("商贸", "F5191", "国内贸易代理；食品销售；日用品批发", True),
    ("建筑工程", "E4710", "建设工程施工；住宅室内装饰装修；工程管理服务", False),
    ("农业科技", "A0519", "农业科学研究和试验发展；蔬菜种植；食用农产品初加工", False),
    ("物流", "G5430", "道路货物运输（凭许可证经营）；装卸搬运；仓储服务", False),
    ("信息科技", "I6510", "软件开发；信息系统集成服务；信息技术咨询服务", False),
    ("旅游发展", "L7281", "旅游开发项目策划咨询；游览景区管理；餐饮服务", True),
)
_CROPS = (
    ("果蔬", "A0141", "蔬菜种植；水果种植；组织采购、供应成员所需的农业生产资料", False),
    ("贡柑", "A0152", "柑橘种植、销售；组织收购、销售成员种植的产品", False),
    ("水稻种植", "A0111", "谷物种植、销售；农业机械服务", False),
    ("茶叶", "A0164", "茶叶种植、加工、销售；引进新技术、新品种", False),
)


def found(random: Random, quota: Quota, people: Sequence[Person]) -> list[Company]:
    """The village's companies. Their heads are drawn from its grown-ups; without any there are none."""
    grown = [person for person in people if 20 <= age_on(person.born) < 75]
    if not grown:
        return []
    return [
        _company(random, quota.village, quota.first_company + index, grown)
        for index in range(quota.companies)
    ]


def _company(random: Random, village: Village, serial: int, grown: Sequence[Person]) -> Company:
    draw = random.random()
    if village.rural:
        kind = SOLE_TRADER if draw < 0.66 else COOPERATIVE if draw < 0.84 else LIMITED
    else:
        kind = SOLE_TRADER if draw < 0.7 else LIMITED if draw < 0.97 else PROPRIETORSHIP
    head = grown[int(random.random() * len(grown))]
    trades = _TRADES if kind is SOLE_TRADER else _CROPS if kind is COOPERATIVE else _LINES
    trade, industry, scope, food = trades[int(random.random() * len(trades))]
    word = _WORDS[int(random.random() * len(_WORDS))] + _WORDS[int(random.random() * len(_WORDS))]
    since = max(years_later(head.born, 18), REFERENCE_DAY - 9_000)
    established = since + int(random.random() ** 0.5 * max(1, REFERENCE_DAY - since - 15))
    draw = random.random()
    state = (
        CompanyState.REVOKED if draw < 0.025 else CompanyState.CANCELLED if draw < 0.08 else CompanyState.OPEN
    )
    changed = grown[int(random.random() * len(grown))] if 0.5 < draw < 0.56 else None
    return make(
        uscc(kind.department, kind.category, serial + 1),
        kind,
        f"{village.county}{village.town if kind is SOLE_TRADER else ''}{word}{trade}{kind.ending}",
        head,
        village,
        established=established,
        address=_address(random, village),
        capital=None if kind is SOLE_TRADER else (1 + int(random.random() ** 3 * 200)) * 10_000_000,
        industry=industry,
        scope=scope,
        food=food,
        state=state,
        former_representative=changed.name if changed is not None and changed is not head else None,
        term=30 if kind is LIMITED and draw > 0.9 else 0,
        officers=[_officer(random, grown, position, established) for position in _positions(kind)],
    )


def make(
    number: str,
    kind: Kind,
    name: str,
    head: Person,
    village: Village,
    *,
    established: Day,
    address: str,
    capital: int | None,
    industry: str,
    scope: str,
    food: bool = False,
    state: CompanyState = CompanyState.OPEN,
    former_representative: str | None = None,
    term: int = 0,
    officers: Sequence[Officer] = (),
) -> Company:
    """A company with its head as legal representative, or as operator of a sole trader."""
    position = "operator" if kind is SOLE_TRADER else "legal_representative"
    return Company(
        number,
        name,
        kind.code,
        kind.name,
        head.name,
        former_representative,
        address,
        village.code,
        capital,
        scope,
        industry,
        established,
        years_later(established, term) if term else None,
        office("market_regulation", village.county_code),
        state,
        [Officer(position, head.name, head.number, head.phone, established), *officers],
        food,
    )


def _positions(kind: Kind) -> tuple[str, ...]:
    return ("manager", "supervisor") if kind is LIMITED else ()


def _officer(random: Random, grown: Sequence[Person], position: str, since: Day) -> Officer:
    person = grown[int(random.random() * len(grown))]
    return Officer(position, person.name, person.number, person.phone, since)


def _address(random: Random, village: Village) -> str:
    if village.rural:
        return rural_address(village, 1 + int(random.random() * 9), 1 + int(random.random() * 99))
    return urban_address(village, int(random.random() * (1 << 20)))
