from __future__ import annotations

import re
from importlib.resources import files
from string import Formatter

import pytest
from markupsafe import Markup

from gateway.core.model import ConsentStatus
from gateway.pages.languages import Language
from gateway.pages.texts import NAME_CHARACTERS_MAX, Texts, isolated
from gateway.pages.views import Problem, RevocationChoice

ENGLISH, CHINESE = Texts(Language.EN), Texts(Language.ZH_HANT)


def test_both_languages_have_the_same_texts() -> None:
    assert list(ENGLISH.by_key) == list(CHINESE.by_key)
    assert all(text.strip() for texts in (ENGLISH, CHINESE) for text in texts.by_key.values())


@pytest.mark.parametrize("key", ENGLISH.by_key)
def test_both_languages_say_a_text_about_the_same_things(key: str) -> None:
    assert _names(ENGLISH.by_key[key]) == _names(CHINESE.by_key[key])


def test_chinese_is_traditional_and_hong_kongs() -> None:
    for text in CHINESE.by_key.values():
        text.encode("big5")  # which has no simplified characters
        assert not re.search("登錄|信息|哈希|數據", text)  # as others than Hong Kong say it


def test_a_text_holds_no_markup() -> None:
    assert not [text for texts in (ENGLISH, CHINESE) for text in texts.by_key.values() if set(text) & set("<>&")]


def test_every_text_is_used() -> None:
    package = files("gateway.pages")
    sources = [file.read_text("utf-8") for file in package.joinpath("templates").iterdir()]
    written = "\n".join([*sources, package.joinpath("pages.py").read_text("utf-8")])
    used = set(re.findall(r'"([a-z_]+)"', written))
    used |= {f"about_{status.value}" for status in ConsentStatus}
    used |= {f"reason_{reason.value}" for reason in RevocationChoice}
    used |= {f"problem_{problem.value}{part}" for problem in Problem for part in ("", "_title")}
    assert set(ENGLISH.by_key) - used == set()


def test_a_name_is_escaped_and_isolated() -> None:
    text = ENGLISH.rich("ask_title", consumer='<b onclick="x">\u202eבנק')
    assert text == Markup("<bdi>&lt;b onclick=&#34;x&#34;&gt;\u202eבנק</bdi> asks for your consent")
    assert ENGLISH.plain("ask_title", consumer="銀行") == "\u2068銀行\u2069 asks for your consent"


def test_a_name_is_no_format() -> None:
    assert "{consumer.__class__}" in ENGLISH.rich("ask_title", consumer="{consumer.__class__}")
    assert "{0}" in ENGLISH.plain("ask_title", consumer="{0}")


def test_a_name_has_an_end() -> None:
    assert len(Markup(isolated("銀" * 5_000)).striptags()) == NAME_CHARACTERS_MAX
    assert len(ENGLISH.plain("ask_title", consumer="x" * 5_000)) < NAME_CHARACTERS_MAX + 50


def test_a_text_or_value_that_is_not_there_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        ENGLISH.rich("no_such_text")
    with pytest.raises(KeyError):
        ENGLISH.rich("ask_title")


def _names(text: str) -> set[str | None]:
    return {name for _, name, _, _ in Formatter().parse(text)} - {None}
