"""`cdi-gateway audit erase`: make a data owner's part of the log unreadable, for ever."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.app.desk import Desk
from gateway.cli.audit.desk import AsJson, Config, at_desk
from gateway.cli.audit.progress import progress
from gateway.cli.audit.second_person import ApprovalFile, RequestOut, approval_text, second_person, with_approval
from gateway.cli.audit.subject import TAKES, pseudonym_of
from gateway.cli.terminal import DONE, NEGATIVE, Refused, say, say_json
from gateway.compliance import erasing

HELP = """Erase a data owner: what the log holds of them privately becomes unreadable, for ever.

Document digests and evidence references of an owner are sealed in the log under a key of that owner's own. This
destroys the key. No byte of the log changes: every proof, receipt and checkpoint stays valid, and what institutions
did, and when, stays readable. The erasure is an entry itself. A running gateway notices; what it records about the
same owner later is sealed under a new key.

A legal hold on the owner (or on everybody) blocks it: `audit hold list`. Copies made before stay what they are: backups
of the database hold the key until they are overwritten, exports and case bundles hold what was opened.

```
cdi-gateway audit erase --config gateway.yaml --subject '?' --reason OWNER_REQUEST
cdi-gateway audit erase --config gateway.yaml --subject 5c1f… --reason CASE-2027-14 --approval approval.jws --yes
```
"""


def erase(
    config: Config,
    subject: Annotated[str, typer.Option("--subject", "-s", metavar="OWNER", help=TAKES)],
    reason: Annotated[str, typer.Option("--reason", metavar="CODE", help="A code, as OWNER_REQUEST; no free text.")],
    approval: ApprovalFile = None,
    request_out: RequestOut = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> int:
    if not erasing.REASON.fullmatch(reason):
        raise Refused("--reason takes a code of capitals, digits, dots, dashes and underscores, as OWNER_REQUEST")
    given = approval_text(approval)

    async def work(desk: Desk) -> int:
        owner = pseudonym_of(subject, desk)
        with progress("looking through the log", quiet=as_json) as advance:
            met = await erasing.concerned(desk.audit, desk.audit, owner, progress=advance)
        await erasing.looked(desk.audit, desk.operator, owner, met, now=desk.clock.now())
        if met.holds:
            raise Refused(
                f"a legal hold forbids it ({', '.join(met.holds)}); `audit hold release` lifts it", code=NEGATIVE
            )
        if not as_json:
            say(f"data owner {owner}")
            say(f"entries about them: {met.entries}; with private fields, which become unreadable: {met.sealed}")
        log, now = desk.settings.audit.origin, desk.clock.now()
        asked, second = erasing.asked(desk.operator, log, owner, reason, now), second_person(desk)
        second.needs(asked, given)
        if not yes:
            typer.confirm("Destroy the key? This cannot be undone.", abort=True, err=True)
        now = desk.clock.now()  # the question may have waited long for its answer
        approved = await second.agrees(asked, given, now)
        erased = await erasing.erase(
            desk.audit, desk.index, desk.operator, subject=owner, reason=reason, now=now, approved=approved
        )
        if as_json:
            say_json({"subject": owner, "erased": erased, "entries": met.entries, "sealed": met.sealed})
        elif erased:
            say("erased: the key is destroyed, and the log has a record of it")
        else:
            say("nothing to erase: there is no key of this data owner (erased before, or never known)")
        return DONE

    return at_desk(config, lambda desk: with_approval(lambda: work(desk), request_out))
