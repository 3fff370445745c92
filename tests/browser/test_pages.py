"""The pages as people meet them: by eye, keyboard and screen reader; on a phone, in the dark, with long names."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import pytest
from playwright.async_api import Browser, Page

from gateway.pages.languages import Language
from gateway.pages.views import DecisionForm, Problem
from tests import owner_pages
from tests.browser.site import Site

Scheme = Literal["light", "dark"]

AXE_RUN = """async () => {
  const found = await axe.run(document, {resultTypes: ["violations", "incomplete"]});
  return [...found.violations, ...found.incomplete].map(
    rule => `${rule.id}: ${rule.nodes.map(node => node.target).join(" ")}`);
}"""
# Where the keyboard is, and whether one sees it there.
FOCUS = """() => {
  const here = document.activeElement, style = getComputedStyle(here), box = here.getBoundingClientRect();
  return {
    what: here.value || here.getAttribute("href") || here.id || here.tagName,
    seen: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 && box.bottom > 0 && box.height > 0,
  };
}"""


@pytest.mark.parametrize("screen", [(360, "light"), (360, "dark"), (1280, "light"), (1280, "dark")])
@pytest.mark.parametrize("language", Language)
async def test_axe_finds_nothing_on_any_page(
    site: Site, chromium: Browser, axe: str, language: Language, screen: tuple[int, Scheme]
) -> None:
    width, scheme = screen
    # The policy forbids every script, axe too: it is let in here, and here only.
    context = await chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, bypass_csp=True)
    tab = await context.new_page()
    found = []
    for name in site.names():
        await tab.goto(site.url(name, language))
        await tab.evaluate(axe)
        found += [f"{name}: {rule}" for rule in await tab.evaluate(AXE_RUN)]
    assert found == []


async def test_axe_would_find_what_is_wrong(site: Site, chromium: Browser, axe: str) -> None:
    site.extra = {"wrong": site.pages.consents(owner_pages.frame(), []).replace(' lang="en"', "", 1)}
    context = await chromium.new_context(bypass_csp=True)
    tab = await context.new_page()
    await tab.goto(site.url("wrong"))
    await tab.evaluate(axe)
    assert [rule.partition(":")[0] for rule in await tab.evaluate(AXE_RUN)] == ["html-has-lang"]


@pytest.mark.parametrize("language", Language)
async def test_no_page_is_wider_than_a_phone(site: Site, chromium: Browser, language: Language) -> None:
    long = dataclasses.replace(
        owner_pages.view(receipt_href="/receipt"), consumer_name="W" * 200, provider_name="銀" * 200, purpose="P" * 64
    )
    frame = owner_pages.frame(language, owner_name="N" * 200)
    form = DecisionForm(action="/decide", decide_by=owner_pages.NOW)
    site.extra = {
        "long-ask": site.pages.ask(frame, long, form),
        "long-consents": site.pages.consents(frame, [long]),
        "long-consent": site.pages.consent(frame, long),
        "long-problem": site.pages.problem(frame, Problem.NOT_FOUND, reference="r" * 200),
    }
    # WCAG 2.2 §1.4.10 wants 320 pixels; text at twice its size (§1.4.4) is the same as half the room.
    for width in (320, 360):
        tab = await chromium.new_page(viewport={"width": width, "height": 640})
        for name in [*site.names(), *site.extra]:
            await tab.goto(site.url(name, language))
            assert await tab.evaluate("document.documentElement.scrollWidth") <= width, name


async def test_nothing_on_a_page_breaks_its_policy(site: Site, chromium: Browser) -> None:
    tab = await chromium.new_page()
    said: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    for name in site.names():
        await tab.goto(site.url(name))
        loaded = await tab.evaluate("performance.getEntriesByType('resource').map(entry => entry.name)")
        assert [one for one in loaded if not one.endswith("favicon.ico")] == [
            site.address + site.pages.stylesheet.path
        ], name
        assert await tab.evaluate("document.styleSheets.length") == 1
    assert [text for text in said if "Security Policy" in text] == []


async def test_a_script_in_a_name_does_not_run(site: Site, chromium: Browser) -> None:
    hostile = '<script>document.title="run"</script><img src=x onerror=\'document.title="run"\'>'
    site.extra = {"hostile": site.pages.consents(owner_pages.frame(owner_name=hostile), [])}
    tab = await chromium.new_page()
    await tab.goto(site.url("hostile"))
    assert await tab.title() != "run"
    assert hostile in await tab.inner_text("header")


@pytest.mark.parametrize(("steps", "decision"), [(0, "approve"), (1, "refuse")])
async def test_an_owner_decides_with_the_keyboard_alone(
    site: Site, chromium: Browser, steps: int, decision: str
) -> None:
    tab = await chromium.new_page()
    await tab.goto(site.url("ask"))
    await tab.keyboard.press("Tab")
    assert (await tab.evaluate(FOCUS)) == {"what": "#main", "seen": True}
    await tab.keyboard.press("Enter")  # past the header, to the content
    assert (await tab.evaluate(FOCUS))["what"] == "main"
    for _ in range(steps + 1):
        await tab.keyboard.press("Tab")
    assert (await tab.evaluate(FOCUS)) == {"what": decision, "seen": True}
    await _sent_with(tab, "Enter")
    assert site.sent == [("/oauth/authorize/decision", {"csrf": owner_pages.CSRF, "decision": decision})]


async def test_an_owner_revokes_with_the_keyboard_alone(site: Site, chromium: Browser) -> None:
    tab = await chromium.new_page()
    await tab.goto(site.url("consent"))
    await _tab_to(tab, "CUSTOMER_REQUEST")
    await tab.keyboard.press("ArrowDown")
    assert await tab.evaluate(FOCUS) == {"what": "PURPOSE_FULFILLED", "seen": True}
    await tab.keyboard.press("Tab")
    await _sent_with(tab, "Space")
    assert site.sent == [("/consents/1/revocation", {"csrf": owner_pages.CSRF, "reason": "PURPOSE_FULFILLED"})]


async def test_an_owner_obtains_a_code_with_the_keyboard_alone(site: Site, chromium: Browser) -> None:
    tab = await chromium.new_page()
    await tab.goto(site.url("auth-code-form-wrong"))
    assert await tab.evaluate("document.activeElement.className") == "errors"  # what is wrong is read first
    await tab.keyboard.press("Tab")
    await tab.keyboard.press("Enter")  # the link leads to the field
    assert await tab.evaluate("document.activeElement.id") == "choice"
    await tab.keyboard.type("Trade")
    await tab.keyboard.press("Tab")
    await _sent_with(tab, "Enter")
    choice = owner_pages.SOURCES[1].choice("TRADE_DECLARATION")
    assert site.sent == [("/auth-code", {"csrf": owner_pages.CSRF, "choice": choice})]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_one_always_sees_where_the_keyboard_is(site: Site, chromium: Browser, scheme: Scheme) -> None:
    context = await chromium.new_context(color_scheme=scheme)
    tab = await context.new_page()
    for name in ("ask", "consents", "consent", "auth-code-form", "sign-in", "problem-not_yours"):
        await tab.goto(site.url(name))
        visited: list[Any] = []
        while (focus := await _tabbed(tab)) is not None and len(visited) < 60:
            assert focus["seen"], (name, focus)
            visited.append(focus["what"])
        assert visited[0] == "#main"
        assert len(visited) >= 3, name


async def test_a_screen_reader_finds_names_and_roles(site: Site, chromium: Browser) -> None:
    tab = await chromium.new_page()
    await tab.goto(site.url("consent", Language.ZH_HANT))
    assert await tab.get_by_role("main").count() == 1
    assert await tab.get_by_role("banner").count() == 1
    assert await tab.get_by_role("contentinfo").count() == 1
    assert await tab.get_by_role("navigation", name="語言").count() == 1
    assert await tab.get_by_role("group", name="撤回原因").get_by_role("radio").count() == 6
    assert await tab.get_by_role("radio", name="我不再同意").is_checked()
    await tab.goto(site.url("auth-code"))
    assert await tab.get_by_text("7 K Q M X 4 R T W C").count() == 1


async def test_a_code_is_copied_as_one_word(site: Site, chromium: Browser) -> None:
    tab = await chromium.new_page()
    await tab.goto(site.url("auth-code"))
    await tab.click("#auth-code")  # selects all of it
    assert (await tab.evaluate("getSelection().toString()")).strip() == owner_pages.CODE.code


async def _tabbed(tab: Page) -> dict[str, Any] | None:
    await tab.keyboard.press("Tab")
    if await tab.evaluate("document.activeElement === document.body || document.activeElement === null"):
        return None
    focus: dict[str, Any] = await tab.evaluate(FOCUS)
    return focus


async def _tab_to(tab: Page, what: str) -> None:
    for _ in range(60):
        focus = await _tabbed(tab)
        if focus is not None and focus["what"] == what:
            return
    pytest.fail(f"the keyboard does not reach {what}")


async def _sent_with(tab: Page, key: str) -> None:
    async with tab.expect_navigation():
        await tab.keyboard.press(key)
