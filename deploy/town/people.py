"""Households: who lives together, how old they are, what they are called, and where they have moved."""

from __future__ import annotations

from collections.abc import Sequence

from deploy.town import model, names
from deploy.town.calendar import REFERENCE_DAY, REFERENCE_YEAR, Day, age_on, year_of, years_later
from deploy.town.model import Household, Marriage, Person
from deploy.town.numbers import NumberRange, mobile_number
from deploy.town.places import Village, office, rural_address, urban_address
from deploy.town.plan import Quota, TownPlan

OLDEST_MOTHER, YOUNGEST_MOTHER = 42, 20
_HUSBAND_AGE, _WIFE_AGE = 22, 20
"""Legal ages of marriage (Civil Code art. 1047)."""
_HOUSES_A_GROUP = 45

# Kinds of household, with their shares in villages and in communities.
_ALONE, _ELDERLY, _COUPLE, _FAMILY, _THREE, _LONE_PARENT = range(6)
_RURAL = (0.09, 0.10, 0.19, 0.57, 0.95, 1.0)
_URBAN = (0.18, 0.05, 0.21, 0.72, 0.94, 1.0)
_LARGEST = (1, 1, 2, 5, 7, 4)
_MOVES = ("购房落户", "婚迁", "投靠亲属", "工作调动", "务工落户", "毕业迁回")


class Families:
    """Makes the households of one village."""

    def __init__(self, plan: TownPlan, quota: Quota, urban: Sequence[Village]) -> None:
        self._village = quota.village
        self._quota = quota
        self._urban = urban
        self._numbers: NumberRange = quota.numbers()
        self.random = plan.random(quota.village)
        self._draw = self.random.random
        self._groups = max(1, quota.people // 3 // _HOUSES_A_GROUP)
        yao = quota.village.county_code == "440232" or "瑶族" in quota.village.name
        self._yao = 0.11 if yao else 0.006
        self._clans = names.clans(self.random, yao=yao) if quota.village.rural else ()
        self._office = office("civil_affairs", quota.village.county_code).name
        self._serial = 0

    def all(self) -> list[Household]:
        """The households, with exactly as many people as the quota names."""
        households: list[Household] = []
        left = self._quota.people
        while left > 0:
            household = self._household(left)
            left -= len(household.members)
            households.append(household)
        return households

    def below(self, bound: int) -> int:
        """A whole number from 0 to bound - 1."""
        return int(self._draw() * bound)

    def _household(self, room: int) -> Household:
        draw = self._draw()
        kind = next(k for k, share in enumerate(_RURAL if self._village.rural else _URBAN) if draw < share)
        if _LARGEST[kind] > room:
            kind = _COUPLE if room > 1 else _ALONE
        home = self._home("family")
        if kind == _ALONE:
            if not self._village.rural and self._draw() < 0.1:
                home.kind = "collective"
            self._alone(home, 1956 + self.below(50))
        elif kind == _ELDERLY:
            self._alone(home, 1934 + self.below(25))
        elif kind == _LONE_PARENT:
            self._lone_parent(home)
        else:
            self._couple(home, with_children=kind != _COUPLE, with_parents=kind == _THREE)
        self._settle(home)
        return home

    def _home(self, kind: str) -> Household:
        self._serial += 1
        village = self._village
        if village.rural:
            group = 1 + self._serial % self._groups
            address = rural_address(village, group, 1 + self._serial // self._groups)
        else:
            group, address = 0, urban_address(village, self.below(1 << 20))
        return Household(f"{village.code[6:]}{self._serial:05}", kind, village, group, address, REFERENCE_DAY)

    def _settle(self, home: Household) -> None:
        """When they registered here, and who of them lives elsewhere now."""
        oldest = min(person.born for person in home.members)
        home.registered_on = max(oldest, REFERENCE_DAY - 14_600 + self.below(14_000))
        draw = self._draw()
        if draw < 0.22:
            home.moved_in_reason = _MOVES[self.below(len(_MOVES))]
            home.moved_from_division = self._elsewhere().code
        if draw > 0.87:
            self._move(home.members)
        else:
            for person in home.members:
                if self._draw() < 0.04 and age_on(person.born) >= 18:
                    self._move([person])
        if self._draw() < 0.0006:
            person = home.members[0]
            # Her birth date had been taken down wrongly, and with it her number.
            person.former_number, _ = self._numbers.take(year_of(person.born), person.male)

    def _move(self, people: Sequence[Person]) -> None:
        place = self._elsewhere()
        address = urban_address(place, self.below(1 << 20))
        for person in people:
            person.current_address, person.current_division = address, place.code

    def _elsewhere(self) -> Village:
        return self._urban[self.below(len(self._urban))]

    def _alone(self, home: Household, year: int) -> Person:
        male = self._draw() < 0.5
        person = self._person(home, male, year, model.HEAD)
        age = age_on(person.born)
        draw = self._draw()
        if age >= 60 and draw < 0.7:
            self._former_spouse(person, model.WIDOWED)
        elif age >= 30 and draw < 0.25:
            self._former_spouse(person, model.DIVORCED)
        return person

    def _lone_parent(self, home: Household) -> None:
        parent = self._person(home, self._draw() < 0.35, 1968 + self.below(28), model.HEAD)
        self._former_spouse(parent, model.DIVORCED if self._draw() < 0.7 else model.WIDOWED)
        assert parent.marriage is not None
        self._children(home, parent, parent, parent.marriage.registered_on)

    def _former_spouse(self, person: Person, marital: str) -> None:
        """A marriage with somebody who is in no register here any more."""
        year = year_of(person.born) + (self.below(5) if not person.male else -self.below(5))
        number, born = self._numbers.take(min(year, 2002), not person.male)
        name = names.surname(self.random, ()) + names.given(self.random, not person.male, year)
        began = self._wedding(person.born, born) if person.male else self._wedding(born, person.born)
        ended = min(REFERENCE_DAY - 30, began + 700 + self.below(6_000))
        divorced = marital == model.DIVORCED
        pair = ((person.number, person.name), (number, name))
        man, woman = pair if person.male else pair[::-1]
        state = "divorced" if divorced else "widowed"
        person.marriage = Marriage(
            self._certificate(began),
            *man,
            *woman,
            began,
            max(began, ended) if divorced else None,
            state,
            self._office,
        )
        person.marital = marital

    def _couple(self, home: Household, *, with_children: bool, with_parents: bool) -> None:
        her_year = (1968 if with_parents else 1946) + self.below(33 if with_parents else 56)
        his_year = min(her_year - 3 + self.below(8) - self.below(4), 2003)
        his = self._person(home, True, his_year, model.HEAD)
        hers = self._person(home, False, her_year, model.WIFE)
        self._marry(his, hers)
        assert his.marriage is not None
        if self._draw() < 0.12:
            home.members.reverse()
            hers.relation, his.relation = model.HEAD, model.HUSBAND
        if with_children:
            self._children(home, his, hers, his.marriage.registered_on)
        if with_parents:
            self._parents(home, his, his.relation == model.HEAD)

    def _marry(self, his: Person, hers: Person) -> None:
        day = self._wedding(his.born, hers.born)
        his.marriage = hers.marriage = self._registered(his, hers, day)
        # The police learn of a wedding when somebody comes to tell them.
        behind = self._draw() < 0.05
        his.marital = model.UNMARRIED if behind else model.MARRIED
        hers.marital = model.UNMARRIED if behind and self._draw() < 0.5 else model.MARRIED

    def _registered(self, his: Person, hers: Person, on: Day) -> Marriage:
        return Marriage(
            self._certificate(on),
            his.number,
            his.name,
            hers.number,
            hers.name,
            on,
            None,
            "married",
            self._office,
        )

    def _wedding(self, his_birth: Day, her_birth: Day) -> Day:
        """A day on which both were old enough, and which is past."""
        lawful = max(years_later(his_birth, _HUSBAND_AGE), years_later(her_birth, _WIFE_AGE))
        return min(lawful + self.below(2_600), max(lawful, REFERENCE_DAY - 40))

    def _certificate(self, day: Day) -> str:
        return f"J{self._village.county_code}-{year_of(day)}-{self.below(1_000_000):06}"

    def _children(self, home: Household, father: Person, mother: Person, wedding: Day) -> None:
        """One to three, born after the wedding; most of the grown-up ones have left."""
        year = year_of(wedding) + 1 + self.below(2)
        earliest = year_of(mother.born) + YOUNGEST_MOTHER
        latest = min(year_of(mother.born) + OLDEST_MOTHER, REFERENCE_YEAR)
        wanted = 1 + (self._draw() < 0.62) + (self._draw() < 0.16)
        for _ in range(wanted):
            year = max(year, earliest)
            if year > latest:
                return
            if year > REFERENCE_YEAR - 26 or self._draw() < 0.22:
                male = self._draw() < 0.52
                relation = model.SON if male else model.DAUGHTER
                self._person(home, male, year, relation, father=father.name, ethnicity=father.ethnicity)
            year += 2 + self.below(4)

    def _parents(self, home: Household, son: Person, son_is_head: bool) -> None:
        """His parents, where he heads the household; of a household that she heads, nobody's are listed."""
        if not son_is_head:
            return
        her_year = year_of(son.born) - YOUNGEST_MOTHER - 4 - self.below(14)
        mother = self._person(home, False, her_year, model.MOTHER)
        if self._draw() < 0.62:
            his_year = her_year - self.below(6)
            father = self._person(
                home, True, his_year, model.FATHER, father=son.name, ethnicity=son.ethnicity
            )
            wedding = min(self._wedding(father.born, mother.born), son.born - 280)
            father.marriage = mother.marriage = self._registered(father, mother, wedding)
            father.marital = mother.marital = model.MARRIED
        else:
            mother.marital = model.WIDOWED

    def _person(
        self, home: Household, male: bool, year: int, relation: str, *, father: str = "", ethnicity: str = ""
    ) -> Person:
        number, born = self._numbers.take(year, male)
        ethnicity = ethnicity or names.ethnicity(self.random, self._yao)
        if ethnicity == names.UYGUR:
            name = names.dotted(self.random)
        else:
            given = names.given(self.random, male, year)
            name = (family_name(father) if father else names.surname(self.random, self._clans)) + given
        grown = year <= REFERENCE_YEAR - 14
        person = Person(
            number,
            name,
            model.MALE if male else model.FEMALE,
            born,
            ethnicity,
            self._education(year),
            model.UNMARRIED,
            relation,
            mobile_number(self.below(100_000_000)) if grown and self._draw() < 0.93 else None,
            home,
        )
        home.members.append(person)
        return person

    def _education(self, year: int) -> str:
        """A GB/T 4658 code that fits the generation."""
        age = REFERENCE_YEAR - year
        draw = self._draw()
        if age < 6:
            return "90"
        if age < 13:
            return "80"
        if age < 16:
            return "70"
        if age < 19:
            return "60"
        if age < 45:
            return (
                "20"
                if draw < 0.2
                else "30"
                if draw < 0.42
                else "60"
                if draw < 0.7
                else "70"
                if draw < 0.985
                else "10"
            )
        if age < 70:
            return "30" if draw < 0.06 else "60" if draw < 0.25 else "70" if draw < 0.72 else "80"
        return "70" if draw < 0.15 else "80" if draw < 0.7 else "90"


def family_name(name: str) -> str:
    """The surname of a Han name; two characters where it is a double one."""
    return name[:2] if name[:2] in {"欧阳", "司徒", "上官"} else name[:1]
