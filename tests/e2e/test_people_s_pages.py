"""A person with a real browser in front of the real city: signs in, sees who used her data, verifies."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from playwright.async_api import Browser, expect

from tests.chromium import Window, connected, window
from tests.city import City
from tests.loops import of_the_module
from tests.story import ID_CARD, Json, Machine, case_of, person


@of_the_module(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with connected() as made:
        yield made


@of_the_module()
async def looking(city: City, platform: Machine, cast: Json, browser: Browser) -> AsyncIterator[Window]:
    """The applicant's browser at the page, signed in; her licences have just been searched for."""
    search = {"holder": person(cast["applicant"]["code"]), "type_codes": [ID_CARD]}
    for _ in range(22):
        platform.post("/approval/v1/licences:search", {**search, "case": case_of(city)})
    async with window(browser) as made:
        page = made.page
        await page.goto(f"{city.people}/citizen/disclosures")
        await page.click("#sign-in a")
        await page.fill("[name=login]", cast["applicant"]["login"])
        await page.fill("[name=password]", cast["password"])
        await page.click("button")
        await page.wait_for_selector("#uses > li")
        yield made
        assert made.faults == []


async def test_she_sees_who_used_her_data_and_verifies_a_receipt(
    looking: Window, city: City, cast: Json
) -> None:
    page = looking.page
    newest = page.locator("#uses > li").first

    english = await newest.inner_text()
    await newest.locator(".verify").click()
    await newest.locator(".verdict").wait_for()
    verdict = await newest.locator(".verdict").get_attribute("data-verdict")
    await page.click("#language")
    chinese = await newest.inner_text()

    assert page.url == f"{city.people}/citizen/disclosures"
    assert "looked up which e-licences you have" in english
    assert "the city's approval platform" in english
    assert cast["office"]["name"] in english
    assert verdict == "proved"
    assert "查找您有哪些电子证照" in chinese
    assert "市一体化政务服务平台" in chinese
    assert "个体工商户设立登记" in chinese
    assert "已证实" in chinese
    assert cast["applicant"]["code"] not in await page.content()


async def test_she_pages_narrows_keeps_a_receipt_and_signs_out(looking: Window, city: City) -> None:
    page = looking.page
    uses = page.locator("#uses > li")

    assert await uses.count() == 20
    await page.click("#more")
    await expect(uses.nth(20)).to_be_visible()
    assert await uses.count() > 20
    ids = await uses.evaluate_all("items => items.map(item => item.dataset.receipt)")
    assert len(set(ids)) == len(ids)
    await page.check("#own")
    await page.fill("#since", "2026-01-01")
    await page.click("#stretch button")
    await page.wait_for_selector("#uses > li h2:has-text('you looked at who used your data')")
    await page.fill("#until", "2026-01-01")
    await page.click("#stretch button")
    await page.wait_for_selector("#told:has-text('There is no record')")
    await page.fill("#until", "")
    await page.click("#stretch button")
    async with page.expect_download() as download:
        await uses.first.locator("a").click()
    kept = json.loads((await (await download.value).path()).read_text(encoding="utf-8"))
    assert kept["checkpoint"].startswith("onestop.example/ledger\n")

    await page.click("#sign-out button")
    await page.wait_for_url(f"{city.identity_provider}/**")
    await page.goto(f"{city.people}/citizen/disclosures")
    await page.wait_for_selector("#sign-in:visible")
    assert await uses.count() == 0


async def test_witnesses_cosignatures_are_checked_in_the_browser(looking: Window) -> None:
    newest = looking.page.locator("#uses > li").first
    verdict = newest.locator(".verdict")

    async with asyncio.timeout(20):  # They cosign beside the appending, within seconds.
        await newest.locator(".verify").click()
        await verdict.wait_for()
        while await verdict.get_attribute("data-witnessed") != "reached":
            await newest.locator(".verify").click()
            await expect(newest.locator(".verify")).to_be_enabled()

    assert await verdict.get_attribute("data-verdict") == "proved"
    assert "onestop.example/witness" in await verdict.inner_text()


async def test_an_altered_receipt_is_told_as_not_proved(looking: Window) -> None:
    async def alter(route: object) -> None:
        answer = await route.fetch()  # type: ignore[attr-defined]
        receipt = await answer.json()
        receipt["entry"]["caller"] = "nobody"
        await route.fulfill(response=answer, json=receipt)  # type: ignore[attr-defined]

    await looking.page.route("**/ledger/v1/receipts/*", alter)
    newest = looking.page.locator("#uses > li").first

    await newest.locator(".verify").click()
    await newest.locator(".verdict").wait_for()

    assert await newest.locator(".verdict").get_attribute("data-verdict") == "inclusion"


def test_the_receipts_page_is_found_without_signing_in(city: City, platform: Machine) -> None:
    answer = platform.ask("GET", "/verify")

    assert answer.status_code == 404  # People's listener only.
