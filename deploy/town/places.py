"""Where the town lies: the real divisions, the model city's offices, and addresses."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

CITY_CODE = "440200"

_BODY = re.compile(r"(村民委员会|居民委员会|居民居委会|村委会|居委会|虚拟社区)$")
_ROADS = (
    "惠民路", "工业路", "新华路", "沿江路", "建设路", "解放路", "和平路", "教育路", "人民路", "芙蓉路",
    "前进路", "团结路", "环城路", "文化路", "育才街", "胜利路", "中山路", "车站路", "环园路", "幸福里",
)  # fmt: skip
_DIGITS = "零一二三四五六七八九"


@dataclass(frozen=True, slots=True)
class Village:
    """A village or an urban community, the lowest division."""

    position: int
    county_code: str
    county: str
    town_code: str
    town: str
    code: str
    name: str
    short: str
    """Its name without the committee's."""
    prefix: str
    """What its addresses begin with, down to the village."""

    @property
    def rural(self) -> bool:
        """Whether it is a village with land; the classes of communities are not."""
        return self.code[9] == "2"


@dataclass(frozen=True, slots=True)
class Office:
    """An office of the model city. `kind` as in offices.csv, such as `market_regulation`."""

    name: str
    uscc: str
    kind: str
    county_code: str
    county: str


@cache
def villages() -> tuple[Village, ...]:
    """All villages in the order of their codes."""
    return tuple(_village(position, row) for position, row in enumerate(_rows("divisions.csv")))


@cache
def offices() -> tuple[Office, ...]:
    """All offices of the model city."""
    return tuple(Office(**row) for row in _rows("offices.csv"))


@cache
def office(kind: str, county_code: str) -> Office:
    """The county's office of a kind, or the city's where the county has none. Raises KeyError."""
    by_place = _offices_by_place()
    return by_place.get((kind, county_code)) or by_place[kind, CITY_CODE]


@cache
def _offices_by_place() -> Mapping[tuple[str, str], Office]:
    return {(one.kind, one.county_code): one for one in offices()}


def group_name(number: int) -> str:
    """第三, 第十二, … for 1 to 99."""
    tens, ones = divmod(number, 10)
    text = ("" if tens < 2 else _DIGITS[tens]) + ("十" if tens else "") + (_DIGITS[ones] if ones else "")
    return f"第{text}"


def rural_address(village: Village, group: int, house: int) -> str:
    """An address in a village."""
    return f"{village.prefix}{group_name(group)}村民小组{house}号"


def urban_address(village: Village, draw: int) -> str:
    """An address in a community; `draw` from 0 to 2**20 - 1 picks road, house, building and room."""
    road = _ROADS[draw % 20]
    house, rest = divmod(draw // 20, 97)
    room = f"{1 + rest % 9}0{1 + rest % 4}"
    return f"{village.prefix}{road}{1 + house % 240}号{1 + rest % 12}栋{room}房"


def _village(position: int, row: dict[str, str]) -> Village:
    name = row["village"]
    short = _BODY.sub("", name)
    if row["village_code"][9] == "2" and not short.endswith("村"):
        short += "村"
    county = row["county"]
    seat = "广东省韶关市" if county.endswith("区") else "广东省"
    return Village(
        position,
        row["county_code"],
        county,
        row["town_code"],
        row["town"],
        row["village_code"],
        name,
        short,
        f"{seat}{county}{row['town']}{short}",
    )


def _rows(file: str) -> list[dict[str, str]]:
    text = resources.files(__package__).joinpath(file).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
