"""What a person finds on an HTML page: its text, its links, and its forms with their labels, fields and buttons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

_UNSEEN = frozenset({"script", "style", "template", "head"})
_BUTTON_TYPES = frozenset({"submit", "image"})
_CHECKED_TYPES = frozenset({"checkbox", "radio"})


@dataclass(slots=True, kw_only=True)
class Field:
    """An input, a selection or a text area. `label`: the text of its `<label>`, by `for` or around it."""

    name: str
    type: str
    value: str
    checked: bool = False
    required: bool = False
    id: str = ""
    label: str = ""


@dataclass(slots=True, kw_only=True)
class Button:
    """A submit button; without a name it adds nothing to the form."""

    name: str
    value: str
    text: str = ""
    action: str | None = None  # `formaction`, absolute


@dataclass(slots=True, kw_only=True)
class Form:
    """`action` is absolute."""

    action: str
    method: str
    fields: list[Field] = field(default_factory=list)
    buttons: list[Button] = field(default_factory=list)

    @property
    def password_field(self) -> Field | None:
        return next((one for one in self.fields if one.type == "password"), None)

    @property
    def text_field(self) -> Field | None:
        """The first that a person writes into."""
        return next((one for one in self.fields if one.type in {"text", "email", "search", "tel"}), None)

    def button(self, value: str) -> Button | None:
        return next((one for one in self.buttons if one.value == value), None)

    def filled(self, values: Mapping[str, str], button: Button | None) -> list[tuple[str, str]]:
        """What is sent (HTML, "constructing the entry list"): `values` by field name, the rest as the page has it.
        Boxes that must be ticked are. Raises KeyError for a field that is not there."""
        unknown = values.keys() - {one.name for one in self.fields}
        if unknown:
            raise KeyError(sorted(unknown)[0])
        entries = [
            (one.name, values.get(one.name, one.value))
            for one in self.fields
            if one.name and (one.type not in _CHECKED_TYPES or one.checked or one.required)
        ]
        return entries + ([(button.name, button.value)] if button is not None and button.name else [])


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page as it was shown. `headers`: lower-case names. `links`: text and absolute address."""

    url: str
    status: int
    headers: Mapping[str, str]
    html: str
    title: str
    language: str
    text: str
    forms: list[Form]
    links: list[tuple[str, str]]

    def form_with_button(self, value: str) -> tuple[Form, Button] | None:
        """The first form with a button of this value."""
        found = ((form, form.button(value)) for form in self.forms)
        return next(((form, button) for form, button in found if button is not None), None)

    def link_to(self, path: str) -> str | None:
        """The first link to this path, whatever its query."""
        return next((address for _, address in self.links if urlsplit(address).path == path), None)

    def form_to(self, ending: str) -> Form | None:
        """The first form whose address ends so."""
        return next((form for form in self.forms if form.action.endswith(ending)), None)


def read(html: str, *, url: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Page:
    parser = _Reader(url)
    parser.feed(html)
    parser.close()
    parser.label_fields()
    return Page(
        url=url,
        status=status,
        headers={name.lower(): value for name, value in (headers or {}).items()},
        html=html,
        title=_squeezed(parser.title),
        language=parser.language,
        text=_squeezed(parser.text),
        forms=parser.forms,
        links=[(_squeezed(text), address) for text, address in parser.links],
    )


class _Reader(HTMLParser):
    """Collects while it reads; a page that is not well-formed gives what can be made out."""

    def __init__(self, url: str) -> None:
        super().__init__(convert_charrefs=True)
        self._url = url
        self.title, self.language, self.text = "", "", ""
        self.forms: list[Form] = []
        self.links: list[tuple[str, str]] = []
        self._form: Form | None = None
        self._open: list[str] = []  # of `_UNSEEN` and title
        self._button: Button | None = None
        self._select: Field | None = None
        self._area: Field | None = None
        self._label: tuple[str, list[str], list[Field]] | None = None
        self._labels: list[tuple[str, str, list[Field]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in _UNSEEN or tag == "title":
            self._open.append(tag)
        elif tag == "html":
            self.language = given.get("lang", "")
        elif tag == "a" and "href" in given:
            self.links.append(("", urljoin(self._url, given["href"])))
            self._open.append("a")
        elif tag == "label":
            self._label = (given.get("for", ""), [], [])
        elif tag == "form":
            action = urljoin(self._url, given.get("action", ""))
            self._form = Form(action=action, method=given.get("method", "get").upper())
            self.forms.append(self._form)
        elif self._form is not None:
            self._control(tag, given, self._form)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            del self._open[len(self._open) - 1 - self._open[::-1].index(tag) :]
        elif tag == "form":
            self._form = None
        elif tag == "button":
            self._button = None
        elif tag == "select":
            self._select = None
        elif tag == "textarea":
            self._area = None
        elif tag == "label" and self._label is not None:
            target, texts, inside = self._label
            self._labels.append((target, _squeezed("".join(texts)), inside))
            self._label = None

    def handle_data(self, data: str) -> None:
        if "title" in self._open:
            self.title += data
        if not _UNSEEN.isdisjoint(self._open):
            return
        self.text += data + " "
        if "a" in self._open:
            text, address = self.links[-1]
            self.links[-1] = (text + data, address)
        if self._button is not None:
            self._button.text += data
        if self._area is not None:
            self._area.value += data
        if self._label is not None:
            self._label[1].append(data)

    def label_fields(self) -> None:
        for target, text, inside in self._labels:
            named = [one for form in self.forms for one in form.fields if target and one.id == target]
            for one in named or inside:
                one.label = text

    def _control(self, tag: str, given: Mapping[str, str], form: Form) -> None:
        kind = given.get("type", "submit" if tag == "button" else "text").lower()
        if "disabled" in given:
            return
        if (tag == "button" and kind == "submit") or (tag == "input" and kind in _BUTTON_TYPES):
            action = urljoin(self._url, given["formaction"]) if "formaction" in given else None
            text = given.get("value", "") if tag == "input" else ""
            button = Button(name=given.get("name", ""), value=given.get("value", ""), text=text, action=action)
            form.buttons.append(button)
            self._button = button if tag == "button" else None
        elif tag in {"input", "select", "textarea"}:
            default = "on" if kind in _CHECKED_TYPES else ""
            one = Field(
                name=given.get("name", ""),
                type=kind if tag == "input" else tag,
                value=given.get("value", default),
                checked="checked" in given,
                required="required" in given,
                id=given.get("id", ""),
            )
            form.fields.append(one)
            self._select = one if tag == "select" else None
            self._area = one if tag == "textarea" else None
            if self._label is not None:
                self._label[2].append(one)
        elif tag == "option" and self._select is not None and ("selected" in given or not self._select.value):
            self._select.value = given.get("value", "")


def _squeezed(text: str) -> str:
    return " ".join(text.split())
