"""What looks like anybody's secret: by the name before it, or by the shape of an address.

Knows no home. Text may be JSON within JSON within a log line: a quote may stand behind any number
of backslashes, and what was JSON stays JSON. Rather too much is masked than too little.
"""

import re
from typing import Final

from core.process.logs import MASK

QUOTED: Final = (
    r""""(?:[^"\\\n]|\\.)*"|'[^'\n]*'"""
    # escaped quotes: up to the next of the same depth, or to the end of the text around it
    r"""|(?P<deep>\\+["'])(?:(?!(?<!\\)(?P=deep))(?!(?<!\\)")[^\n])*(?P=deep)?"""
    r"""|["'][^\n]*"""
)
BEFORE: Final = (
    r"""(?P<quote>\\{0,31}["'])?\]?[ \t]*(?:=>|[:=]|%3[AD])[ \t]*(?:\[[ \t]*)?(?:b(?=["']))?"""
)
"""What stands between a name and its value."""
HARMLESS: Final = r"(?!(?:null|true|false|none)(?=[\s,;&}\])]|$)|[{\[])"
NAME: Final = (
    r"secret(?:[_-]?key)?|passphrase|password|passwd|(?:listen|private|auth)[_-]?key"
    r"|(?:api|access)[_-]?key(?:[_-]?id)?|token|signature|(?<![a-z])sign"
    r"|(?<=[?&])(?:key|pass|pwd|sig|auth)"
)
LOOKS_SECRET: Final = re.compile(
    rf"(?P<head>(?:{NAME}){BEFORE}){HARMLESS}"
    rf"""(?P<value>{QUOTED}|(?:[^\s,;&}}\]"'\\]|\\(?=[^"'nrt\\\s]))+)""",
    re.IGNORECASE,
)
HEADER: Final = re.compile(
    rf"(?P<head>(?:authorization|cookie){BEFORE}){HARMLESS}"
    rf"""(?P<value>{QUOTED}|[^\n"'\\]+)""",
    re.IGNORECASE,
)
"""Headers whose value is several words."""

SLASH: Final = r"(?:\\{0,31}/|%(?:25)*2F)"
AFTER_SCHEME: Final = rf"(?::|%(?:25)*3A){SLASH}{{2}}"
REST: Final = r"""(?:[^\s"'\\]|\\{1,31}/)"""
"""A character of an address, up to the end of the text that it stands in."""
PIECE: Final = r"""(?:(?!%(?:25)*(?:2F|3F|22|26|23))[^\s/?#"'\\&])+"""
HOSTS: Final = "|".join(
    (
        *(r"hooks\.slack\.com", r"api\.telegram\.org", r"(?:[\w-]+\.)?discord(?:app)?\.com"),
        *(r"[\w.-]+\.webhook\.office\.com", r"[\w.-]+\.logic\.azure\.com", r"ntfy\.sh"),
        *(r"chat\.googleapis\.com", r"maker\.ifttt\.com", r"hooks\.zapier\.com"),
        *(r"open\.(?:feishu\.cn|larksuite\.com)", r"qyapi\.weixin\.qq\.com"),
    )
)
SHAPES: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), shown)
    for pattern, shown in (
        (rf"(https?{AFTER_SCHEME}(?:{HOSTS})(?::\d+)?)(?:{SLASH}|\?){REST}*", rf"\1/{MASK}"),
        # name and password before a host
        (rf"""(https?{AFTER_SCHEME})(?:(?!%(?:25)*2F)[^\s/?#"'\\])+(@|%40)""", rf"\1{MASK}\2"),
        (rf"({SLASH}webhook{SLASH}){PIECE}", rf"\1{MASK}"),
        (rf"({SLASH}services{SLASH})\w+{SLASH}\w+{SLASH}\w+", rf"\1{MASK}"),
        (rf"({SLASH}webhooks{SLASH})\d+{SLASH}[\w-]+", rf"\1{MASK}"),
        (rf"({SLASH}bot)\d+(?::|%3A)[\w-]+", rf"\1{MASK}"),
        (r"\b\d{6,12}(?::|%3A)[\w-]{30,}", MASK),  # a bot of Telegram
        (r"\bxox[a-z]-[\w-]+", MASK),  # Slack
        (r"\b(bearer|basic)[ \t]+(?=\S*[\d=]|\S{20})[\w.~+/=-]{8,}", rf"\1 {MASK}"),
        # addresses of notification services hold their token
        (
            rf"\b(?!https?{AFTER_SCHEME})([a-z][a-z0-9+.-]{{1,20}}{AFTER_SCHEME}){REST}+",
            rf"\1{MASK}",
        ),
    )
)
NUMBER: Final = re.compile(r"-?\d[\d.eE+-]*")
OPENING: Final = re.compile(r"""\\*["']""")


def without_lookalikes(text: str) -> str:
    """Mask every value that looks secret, whosever it is."""
    for pattern, shown in SHAPES:
        text = pattern.sub(shown, text)
    for named in (HEADER, LOOKS_SECRET):
        text = named.sub(_without_value, text)
    return text


def _without_value(found: re.Match[str]) -> str:
    value = found["value"]
    opening = OPENING.match(value)
    if opening is not None:
        quote = opening[0]
        is_closed = len(value) > len(quote) and value.endswith(quote)
        return f"{found['head']}{quote}{MASK}{quote if is_closed else ''}"
    quote = found["quote"] or ""
    if quote and NUMBER.fullmatch(value):  # a bare *** would be no JSON
        return f"{found['head']}{quote}{MASK}{quote}"
    return f"{found['head']}{MASK}"
