from __future__ import annotations

import pytest

from gateway.pages.languages import RANGES_MAX, Language, negotiate, switch

EN, ZH = Language.EN, Language.ZH_HANT


@pytest.mark.parametrize(
    "tag", ["zh", "zh-HK", "zh-TW", "zh-MO", "zh-Hant", "zh-Hant-HK", "zh-CN", "zh-Hans", "yue", "ZH-hk"]
)
def test_every_kind_of_chinese_gets_the_chinese_that_there_is(tag: str) -> None:
    assert negotiate(accept_language=tag) is ZH
    assert negotiate(ui_locales=[tag]) is ZH
    assert negotiate(chosen=tag) is ZH


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, EN),
        ("", EN),
        ("*", EN),
        ("fr-FR, de;q=0.9", EN),
        ("fr, zh-HK;q=0.3", ZH),
        ("en;q=0.4, zh;q=0.5", ZH),
        ("en-GB;q=0.5 , zh-HK;q=0.5", EN),
        ("zh-HK;q=0.5,en-GB;q=0.5", ZH),
        ("zh;q=0, en;q=0.001", EN),
        ("zh;q=0", EN),
        ("zh;Q=1.000", ZH),
        ("zh;q=2", EN),
        ("zh;q=nan", EN),
        ("zh;q=0.1234", EN),
        ("zh-", EN),
        ("\x00zh", EN),
        ("zh;q=0.9;level=1", EN),
    ],
)
def test_the_browsers_preference_counts_by_its_weights(header: str | None, expected: Language) -> None:
    assert negotiate(accept_language=header) is expected


def test_a_choice_goes_before_what_the_client_asks_and_that_before_the_browser() -> None:
    assert negotiate(chosen="en", ui_locales=["zh-HK"], accept_language="zh") is EN
    assert negotiate(chosen="nonsense!", ui_locales=["fr", "zh-HK", "en"], accept_language="en") is ZH
    assert negotiate(chosen="", ui_locales=["fr"], accept_language="zh") is ZH


def test_what_is_endless_is_not_read_to_its_end() -> None:
    assert negotiate(accept_language="fr," * 1_000 + "zh") is EN
    assert negotiate(accept_language="fr," * RANGES_MAX + "zh") is EN
    assert negotiate(ui_locales=["fr"] * RANGES_MAX + ["zh"]) is EN
    assert negotiate(chosen="zh" + "-a" * 10_000) is EN


def test_the_other_language_is_the_same_page() -> None:
    assert switch("/consents", ZH) == "/consents?lang=zh-Hant"
    assert switch("/oauth/authorize?client_id=a&request_uri=urn%3Ax&lang=zh-Hant", EN) == (
        "/oauth/authorize?client_id=a&request_uri=urn%3Ax&lang=en"
    )
    assert switch("/consents?after=", ZH) == "/consents?after=&lang=zh-Hant"


@pytest.mark.parametrize(
    "path", ["//evil.example/x", "\\\\evil.example", "/\\evil.example", "https://evil.example/x", ""]
)
def test_the_switch_leads_to_no_other_host(path: str) -> None:
    href = switch(path, EN)
    assert href.startswith("/")
    assert not href.startswith(("//", "/\\"))
