"""Traces of a person in texts: whole ids where ids stand, and anything unmistakable anywhere in a text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import cached_property
from urllib.parse import quote

from orchestration.quoting import literal

#: What may stand before and after a word, so that ann@example.com isn't found in joann@example.com or
#: ann@example.community: no letter, digit or sign of an address; but an escape such as %20 or \n.
BEFORE = r"(?:(?<![\w.+\-])|(?<=%[0-9a-fA-F]{2})|(?<=\\[bfnrt]))"
AFTER = r"(?![\w\-]|\.\w)"


def normal(value: str) -> str:
    """An id as it is compared: as it is, but an e-mail address in lower case. `normal_sql` says the same in SQL."""
    return value.lower() if "@" in value else value


def normal_sql(expression: str) -> str:
    """DuckDB SQL for `normal` of a text without the blanks around it; null for a blank one."""
    text = f"nullif(trim(cast({expression} as varchar)), '')"
    return f"case when contains({text}, '@') then lower({text}) else {text} end"


def is_unmistakable(word: str) -> bool:
    """Can the word mean nothing but the person, wherever it stands? An address, a telephone number, a long mixed id.

    `42` may also be an order number or a quantity, `sunny` a word: such ids are looked for where ids stand only.
    """
    digits = sum(character.isdigit() for character in word)
    if "@" in word:
        return True
    if word[:1] in ("+", "("):
        return digits >= 7
    return len(word) >= 8 and digits > 0 and any(character.isalpha() for character in word)


class Traces:
    """What to look for: `ids` where ids stand, and `words` anywhere, of those that are unmistakable."""

    def __init__(self, ids: Iterable[str], words: Iterable[str] = ()) -> None:
        self.ids = frozenset(normal(one) for one in ids)
        self.words = sorted({word for word in words if is_unmistakable(word)})

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Finds each word as it is, escaped in JSON or in a URL; and each id that is written under a key for ids."""
        found = [f"{BEFORE}{_any_form(word)}{AFTER}" for word in self.words]
        return re.compile("|".join(found + ([self.keyed_pattern] if self.ids else [])) or r"(?!)")

    @cached_property
    def keyed_pattern(self) -> str:
        """An id as the value of a key for ids in JSON; understood by Python and DuckDB alike."""
        ids = "|".join(_any_form(one) for one in sorted(self.ids))
        return rf'("(?i:user|anonymous|previous)_?(?i:id)"\s*:\s*)"?\s*(?:{ids})\s*"?(\s*[,}}\]])'

    def is_in(self, text: str) -> bool:
        """Does a text hold a trace?"""
        return bool(self.pattern.search(text))

    def taken_out(self, text: str) -> str:
        """The text with `forgotten` in place of every trace."""
        for word in self.words:
            text = re.sub(f"{BEFORE}{_any_form(word)}{AFTER}", "forgotten", text)
        return re.sub(self.keyed_pattern, r'\1"forgotten"\2', text) if self.ids else text

    def may_be_in(self, expression: str) -> str:
        """DuckDB SQL: false where no trace can be in a text; where it is true `is_in` has the last word."""
        parts = [
            f"contains(lower({expression}), {literal(form.lower())})"
            if "@" in word
            else f"contains({expression}, {literal(form)})"
            for word in self.words
            for form in _forms(word)
        ]
        if self.ids - {normal(word) for word in self.words}:
            parts.append(f"regexp_matches({expression}, {literal(self.keyed_pattern)})")
        return f"coalesce({' or '.join(parts) or 'false'}, false)"

    def is_id(self, expression: str) -> str:
        """DuckDB SQL: whether a value is one of the ids."""
        listed = ", ".join(literal(one) for one in sorted(self.ids)) or "null"
        return f"coalesce({normal_sql(expression)} in ({listed}), false)"


def _forms(word: str) -> list[str]:
    """The word as plain text, as JSON and as part of a URL."""
    in_json = {json.dumps(word, ensure_ascii=is_ascii)[1:-1] for is_ascii in (True, False)}
    return sorted({word, quote(word, safe=""), quote(word, safe="@"), *in_json})


def _any_form(word: str) -> str:
    """A pattern for the word in any form; an e-mail address in upper or lower case."""
    return f"(?{'i' if '@' in word else ''}:{'|'.join(re.escape(form) for form in _forms(word))})"
