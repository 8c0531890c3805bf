"""The languages licet speaks to people. English stands in the code itself; another one is a catalogue beside this file.

``say("{count} codes left", count=…)`` is a sentence in the language of whoever is spoken to; in a template it is
``_(…)``. ``say_many`` (``_n``) chooses between one and many. ``speaking(language)`` says who that is, for as long as it
is entered. Programs are spoken to in English, whatever their language.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files
from io import BytesIO

from babel import negotiate_locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from markupsafe import Markup

ENGLISH = "en"
#: What there is, each by its own name.
LANGUAGES: Mapping[str, str] = {ENGLISH: "English", "zh": "中文"}

_spoken: ContextVar[str] = ContextVar("spoken", default=ENGLISH)


def say(sentence: str, /, **facts: object) -> str:
    """The sentence as it is said in the language spoken, with its facts filled in. Markup among them stays markup."""
    return _filled(_words(_spoken.get()).gettext(sentence), facts)


def say_many(one: str, many: str, count: int, /, **facts: object) -> str:
    """The same, of so many; ``{count}`` is among the facts unless another one is given."""
    return _filled(_words(_spoken.get()).ngettext(one, many, count), {"count": f"{count:,}"} | facts)


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Speak a language of ``LANGUAGES``."""
    before = _spoken.set(language if language in LANGUAGES else ENGLISH)
    try:
        yield
    finally:
        _spoken.reset(before)


def spoken() -> str:
    """The language that is spoken now."""
    return _spoken.get()


def understood(accepted: str) -> str:
    """The best language for somebody whose browser says this (``Accept-Language``, RFC 9110 §12.5.4)."""
    wanted = []
    for part in accepted.split(","):
        tag, _, weight = part.partition(";q=")
        try:
            wanted.append((-float(weight or 1), tag.strip().replace("-", "_")))
        except ValueError:
            continue
    found = negotiate_locale([tag for _, tag in sorted(wanted, key=lambda each: each[0])], list(LANGUAGES))
    return found or ENGLISH


def _filled(sentence: str, facts: Mapping[str, object]) -> str:
    if any(hasattr(fact, "__html__") for fact in facts.values()):
        return Markup(sentence).format(**facts)
    return sentence.format(**facts) if facts else sentence


@cache
def _words(language: str) -> NullTranslations:
    if language == ENGLISH:
        return NullTranslations()
    with (files("licet.languages") / f"{language}.po").open("rb") as written:
        catalogue = read_po(written, locale=language)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return GNUTranslations(compiled)
