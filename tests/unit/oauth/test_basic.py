"""Client secrets: what is one, and how it is shown to a server."""

from __future__ import annotations

import base64

import pytest

from gateway.oauth.basic import SECRET_BYTES_MAX, basic, client_secret


@pytest.mark.parametrize("data", [b"a secret", b"a secret\n", b"a secret\r\n"])
def test_a_secret_is_its_line_without_the_end(data: bytes) -> None:
    assert client_secret(data) == "a secret"


@pytest.mark.parametrize("data", [b"x" * SECRET_BYTES_MAX, "密碼".encode()])
def test_a_secret_may_be_long_and_of_any_script(data: bytes) -> None:
    assert client_secret(data) == data.decode()


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"canary\ncanary", b"canary\x00", b"canary\xff", b"canary" * SECRET_BYTES_MAX]
)
def test_what_is_no_secret_is_refused_without_showing_it(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a client secret") as refused:
        client_secret(data)
    assert "canary" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_id_and_secret_are_form_encoded_first() -> None:
    encoded = base64.b64encode(b"the+gateway%3A1:s%3Ae%2Bcret").decode()
    assert basic("the gateway:1", "s:e+cret") == f"Basic {encoded}"
