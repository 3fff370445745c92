from __future__ import annotations

import hashlib

from gateway.pages.stylesheet import stylesheet


def test_the_name_follows_the_content() -> None:
    sheet = stylesheet()
    assert sheet.path == f"/assets/pages-{hashlib.sha256(sheet.body).hexdigest()[:16]}.css"


def test_the_stylesheet_loads_nothing_and_stays_small() -> None:
    body = stylesheet().body
    assert not [word for word in (b"url(", b"@import", b"@font-face", b"http") if word in body]
    assert len(body) < 16_384
