"""Every page of the data owner, rendered from values: one method a page.

Nothing here decides anything. A method that shows a form refuses a frame without a csrf token (ValueError): such a
form could not be sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gateway.core.model import ConsentStatus
from gateway.pages import languages, times
from gateway.pages.languages import Language
from gateway.pages.stylesheet import stylesheet
from gateway.pages.texts import Texts, isolated, shortened
from gateway.pages.views import (
    AuthCodeView,
    ConsentView,
    DecisionForm,
    Frame,
    Paths,
    Problem,
    RevocationChoice,
    SourceView,
)

Titles = Mapping[str, Mapping[str, Mapping[str, str]]]
"""Code list → code → language → title."""

CODE_LISTS = ("document-type", "purpose", "consent-status", "consent-reject-reason")
"""The code lists whose titles are needed."""


class Pages:
    """`deployment`: its name, as people read it. `titles`: of at least CODE_LISTS. Raises ValueError without them."""

    def __init__(self, *, deployment: str, titles: Titles, paths: Paths | None = None) -> None:
        _complete(titles)
        self.stylesheet = stylesheet()
        self._titles = titles
        self._texts = {language: Texts(language) for language in Language}
        environment = Environment(
            loader=PackageLoader("gateway.pages"),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters |= {"isolated": isolated, "shortened": shortened, "machine": times.machine}
        environment.globals |= {
            "deployment": deployment,
            "paths": paths or Paths(),
            "stylesheet": self.stylesheet.path,
        }
        # Compiled now: a mistake in a template stops the start, not a page.
        self._templates = {name: environment.get_template(name) for name in environment.list_templates(["html"])}

    def ask(self, frame: Frame, consent: ConsentView, form: DecisionForm) -> str:
        """Who asks, for which document, from which source, why, until when, how often; approve or refuse.

        The form sends `decision` (`Decision`) and `csrf`.
        """
        title = ("ask_title", {"consumer": consent.consumer_name})
        return self._decision(frame, consent, form, title=title, already=False)

    def already(self, frame: Frame, consent: ConsentView, form: DecisionForm) -> str:
        """The consent was approved before: go on, or not now. The same form as `ask`."""
        return self._decision(frame, consent, form, title=("already_title", {}), already=True)

    def consents(
        self,
        frame: Frame,
        consents: Sequence[ConsentView],
        *,
        next_href: str | None = None,
        newest_href: str | None = None,
    ) -> str:
        """One page of the list, newest first. `newest_href`: when this is not the first page."""
        return self._page(
            "consents",
            frame,
            ("consents_title", {}),
            here="consents",
            consents=consents,
            next_href=next_href,
            newest_href=newest_href,
        )

    def consent(self, frame: Frame, consent: ConsentView, *, revoked: bool = False) -> str:
        """One consent, its receipt, and the form that revokes it: `reason` (`RevocationChoice`) and `csrf`.

        `revoked`: the owner has just done so, and is told that it worked.
        """
        if consent.revoke_action is not None:
            _sendable(frame)
        title = ("consent_title", {"consumer": consent.consumer_name})
        return self._page("consent", frame, title, consent=consent, revoked=revoked, reasons=tuple(RevocationChoice))

    def auth_code_form(
        self,
        frame: Frame,
        sources: Sequence[SourceView],
        *,
        action: str,
        not_chosen: bool = False,
    ) -> str:
        """The choice of a source and a document: sends `choice` (`SourceView.choice`) and `csrf`.

        `not_chosen`: it was sent without one that there is.
        """
        _sendable(frame)
        return self._page(
            "auth_code_form",
            frame,
            ("auth_code_form_title", {}),
            here="auth_code",
            mistaken=not_chosen,
            sources=sources,
            action=action,
            not_chosen=not_chosen,
        )

    def auth_code(self, frame: Frame, code: AuthCodeView) -> str:
        """The code, once: in the element with the id `auth-code`."""
        return self._page("auth_code", frame, ("auth_code_title", {}), code=code, half=(len(code.code) + 1) // 2)

    def sign_in(self, frame: Frame, *, href: str) -> str:
        """For who is not signed in. `href` begins the login."""
        return self._page("sign_in", frame, ("sign_in_title", {}), href=href)

    def signed_out(self, frame: Frame, *, href: str) -> str:
        """`href` begins a new login."""
        return self._page("signed_out", frame, ("signed_out_title", {}), href=href)

    def problem(self, frame: Frame, problem: Problem, *, href: str | None = None, reference: str | None = None) -> str:
        """There is no page. `href`: where to try it again; `reference`: the interaction id, for people to quote."""
        title = f"problem_{problem.value}_title"
        return self._page("problem", frame, (title, {}), mistaken=True, problem=problem, href=href, reference=reference)

    def _decision(
        self,
        frame: Frame,
        consent: ConsentView,
        form: DecisionForm,
        *,
        title: tuple[str, dict[str, str]],
        already: bool,
    ) -> str:
        _sendable(frame)
        # No navigation: this page has one question.
        return self._page("ask", frame, title, navigation=False, consent=consent, form=form, already=already)

    def _page(
        self,
        name: str,
        frame: Frame,
        title: tuple[str, dict[str, str]],
        *,
        here: str | None = None,
        navigation: bool = True,
        mistaken: bool = False,
        **values: Any,
    ) -> str:
        if frame.owner_name is not None:
            _sendable(frame)  # to sign out is a form as well
        language, texts = frame.language, self._texts[frame.language]
        key, names = title
        plain = texts.plain(key, **names)
        return self._templates[f"{name}.html"].render(
            frame=frame,
            language=language,
            switches=_switches(frame),
            here=here,
            navigation=navigation,
            heading=texts.rich(key, **names),
            title=texts.by_key["error_prefix"].format(title=plain) if mistaken else plain,
            t=texts.rich,
            p=texts.plain,
            moment=partial(_moment, language=language),
            day=partial(_day, language=language),
            title_of=partial(self._title, language=language),
            **values,
        )

    def _title(self, code_list: str, code: str, *, language: Language) -> str:
        # A code that a newer registry knows and these lists do not is still better than no page.
        titles = self._titles[code_list].get(code)
        return titles[language.value] if titles is not None else code


def _moment(seconds: float, *, language: Language) -> str:
    return times.moment(seconds, language)


def _day(value: date, *, language: Language) -> Markup:
    return Markup('<time datetime="{}">{}</time>').format(value.isoformat(), times.day(value, language))


def _switches(frame: Frame) -> list[dict[str, Any]]:
    if frame.path is None:
        return []
    return [
        {"language": other, "current": other is frame.language, "href": languages.switch(frame.path, other)}
        for other in Language
    ]


def _sendable(frame: Frame) -> None:
    if not frame.csrf:
        raise ValueError("a page with a form needs a csrf token")


def _complete(titles: Titles) -> None:
    for name in CODE_LISTS:
        for code, by_language in titles.get(name, {}).items():
            if missing := {language.value for language in Language} - by_language.keys():
                raise ValueError(f"code list {name}: {code} has no title in {', '.join(sorted(missing))}")
        if name not in titles:
            raise ValueError(f"no titles of the code list {name}")
    if missing := {status.value for status in ConsentStatus} - titles["consent-status"].keys():
        raise ValueError(f"consent statuses without a title: {', '.join(sorted(missing))}")
