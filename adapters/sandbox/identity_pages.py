"""The identity provider's pages for people, in English and Traditional Chinese; no script, and a policy against any."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from jinja2 import Environment

STYLE_PATH, SIGN_IN_PATH = "/style.css", "/sign-in"

STYLE = """\
:root { color-scheme: light; }
body { margin: 0; font: 1rem/1.5 system-ui, sans-serif; color: #1a1a1a; background: #f4f5f7; }
main { max-width: 24rem; margin: 3rem auto; padding: 1.5rem; background: #fff; border: 1px solid #c4c8cf; }
h1 { margin-top: 0; font-size: 1.35rem; }
label { display: block; margin-top: 1rem; font-weight: 600; }
input { box-sizing: border-box; width: 100%; padding: .6rem; font: inherit; border: 1px solid #5b6470; }
button { margin-top: 1.5rem; width: 100%; padding: .7rem; font: inherit; color: #fff; background: #0b4f8a; border: 0; }
:focus-visible { outline: 3px solid #b35900; outline-offset: 2px; }
.error { padding: .6rem; color: #7a0c0c; background: #fdecec; border: 1px solid #7a0c0c; }
.note { color: #4a4f57; font-size: .9rem; }
"""

_PAGE = """\
<!DOCTYPE html>
<html lang="{{ lang }}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ words.title }}</title>
<link rel="stylesheet" href="{{ style }}">
</head>
<body>
<main>
<h1>{{ words.title }}</h1>
{% if problem %}<p class="error" role="alert" id="problem">{{ problem }}</p>{% endif %}
{% if interaction %}
<form method="post" action="{{ action }}">
<input type="hidden" name="interaction" value="{{ interaction }}">
<label for="login">{{ words.login }}</label>
<input id="login" name="login" type="text" autocomplete="username" autocapitalize="none" spellcheck="false" \
required maxlength="200"{% if problem %} aria-describedby="problem"{% endif %}>
<label for="password">{{ words.password }}</label>
<input id="password" name="password" type="password" autocomplete="current-password" required maxlength="200">
<button type="submit">{{ words.submit }}</button>
</form>
<p class="note">{{ words.note }}</p>
{% endif %}
</main>
</body>
</html>
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    title: str
    login: str
    password: str
    submit: str
    note: str
    wrong: str
    locked: str
    over: str
    not_our_client: str


WORDS = {
    "en": Words(
        title="Sign in to Example Bank",
        login="User name",
        password="Password",  # noqa: S106  the field's label
        submit="Sign in",
        note="This is the sandbox's login. The accounts are in sandbox.json.",
        wrong="The user name or the password is wrong.",
        locked="Too many attempts. Wait a minute, then try again.",
        over="This sign-in is over. Go back to where you came from and start again.",
        not_our_client="The page that sent you here is not known to this login.",
    ),
    "zh-Hant": Words(
        title="登入示例銀行",
        login="用戶名稱",
        password="密碼",  # noqa: S106  the field's label
        submit="登入",
        note="這是沙盒環境的登入頁面，帳戶資料載於 sandbox.json。",
        wrong="用戶名稱或密碼不正確。",
        locked="嘗試次數過多，請等待一分鐘後再試。",
        over="此登入程序已結束，請返回原來的頁面重新開始。",
        not_our_client="此登入服務不認識將您轉介至此的頁面。",
    ),
}

_template = Environment(autoescape=True).from_string(_PAGE)


def render(language: str, *, interaction: str | None = None, problem: str | None = None) -> str:
    """`language`: a key of WORDS. With `interaction` the login form; `problem` is one of the texts in WORDS."""
    words = WORDS[language]
    return _template.render(
        lang=language, words=words, style=STYLE_PATH, action=SIGN_IN_PATH, interaction=interaction, problem=problem
    )


def language(accept_language: str, ui_locales: str = "") -> str:
    """Chinese when it comes before English in what the client or the browser asks for."""
    for tag in (*ui_locales.split()[:8], *accept_language.split(",")[:8]):
        name = tag.partition(";")[0].strip().lower()
        if name.startswith("zh"):
            return "zh-Hant"
        if name.startswith("en"):
            return "en"
    return "en"


def headers(redirect_uri: str) -> dict[str, str]:
    """No script, no frame; the form goes here, and from here back to the client (browsers check redirects too)."""
    client = urlsplit(redirect_uri)
    policy = (
        "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
        f"form-action 'self' {client.scheme}://{client.netloc}"
    )
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
