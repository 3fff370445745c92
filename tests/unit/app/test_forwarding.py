"""Each configured target gets its format on its transport, and bad files are said at the start."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
import trustme

from adapters.siem.https import HttpsTarget
from adapters.siem.syslog_tls import SyslogTls
from gateway.app.forwarding import client_tls, event_target, rendering
from gateway.settings.audit import Forward
from gateway.tls import TlsMaterialError
from tests.events import sample_event


def forward(**changes: object) -> Forward:
    return Forward.model_validate({"name": "siem", "url": "https://siem.example/collect"} | changes)


def test_https_gets_ocsf() -> None:
    settings = forward()
    assert isinstance(event_target(settings), HttpsTarget)
    assert orjson.loads(rendering(settings, hostname="h")(sample_event()))["class_uid"] == 6003


@pytest.mark.parametrize(("name", "begins"), [("ocsf", b'{"category_uid":6'), ("cef", b"CEF:0|")])
def test_syslog_gets_its_format_as_the_text_of_messages(name: str, begins: bytes) -> None:
    settings = forward(url="syslog+tls://siem.example:6514", format=name)
    assert isinstance(event_target(settings), SyslogTls)
    message = rendering(settings, hostname="gateway-1")(sample_event())
    assert b" gateway-1 cdi-gateway - verification.intended [meta " in message
    assert b'swVersion="0.1.0"] ' + begins in message


def test_a_client_certificate_is_loaded(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("gateway.example")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    certificate.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    files = {
        "ca_file": tmp_path / "ca.pem",
        "certificate_file": tmp_path / "cert.pem",
        "key_file": tmp_path / "key.pem",
    }
    settings = forward().model_copy(update=files)
    context = client_tls(settings)
    assert context.check_hostname
    assert len(context.get_ca_certs()) == 1


def test_a_certificate_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("nothing")
    files = {"certificate_file": tmp_path / "cert.pem", "key_file": tmp_path / "cert.pem"}
    with pytest.raises(TlsMaterialError, match="PEM"):
        client_tls(forward().model_copy(update=files))
