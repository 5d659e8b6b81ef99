"""The page of error messages has every message of the code, with what its author wrote about it.

``ERYX_WRITE_MESSAGES=1`` has the test write the tables.
"""

from __future__ import annotations

import ast
import os
import pathlib
import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PAGE = ROOT / "docs/error-messages.md"
GUEST = "eryx-guest-shims/python"

# The headings of the page, each with the paths whose messages follow it. The first path that a file
# begins with decides.
AREAS = {
    "Packages and factories": [
        "eryx-core/src/package_error.rs",
        "eryx-core/src/factory",
        "eryx-core/src/image/linked.rs",
        "eryx-guest-linker/src",
    ],
    "The guest image and the machine": ["eryx-core/src/image", "eryx-core/src/host_resource.rs"],
    "Sessions and snapshots": ["eryx-core/src/snapshot_error.rs", "eryx-core/src/session"],
    "Files": ["eryx-core/src/files", "eryx-files/src"],
    "Sandboxes, limits and inputs": ["eryx-core/src"],
    "Verdicts on hosts": ["eryx-net-policy/src/message.rs"],
    "Verdicts on HTTP requests": ["eryx-net-policy/src/http/message.rs"],
    "HTTP rules and secrets": ["eryx-net-policy/src/http"],
    "Hosts, patterns and networks": ["eryx-net-policy/src"],
    "Network settings": ["eryx-net-host/src/config", "eryx-net-host/src/dns"],
    "Proxies": ["eryx-net-host/src/proxy"],
    "Connections": ["eryx-net-host/src"],
    "TLS": ["eryx-tls/src"],
    "Malformed HTTP": ["eryx-http/src"],
    "Arguments in Python": ["eryx-python/src"],
    "The command": ["eryx-cli/src", "eryx-mcp/src"],
    "Inside of a program": [GUEST],
}

# What a message follows, in any file and in single files.
BEFORE = (
    r"#\[error\(|\bnew_err\(|\bbail!\(|\banyhow!\(|ConfigError::limit\(|ImageError::new\("
    # A `match` names the variants without a message.
    r"|(?:NetError::(?:Denied|LimitReached|InvalidArgument|Other)\(|FunctionError::limit\("
    r"|FunctionError::new\(\s*\"\w+\",)\s*(?:format!\(\s*)?(?=\")"
)
BEFORE_IN = {
    "eryx-core/src/limit.rs": r"\bwrite!\(|\bwrite_str\(",
    "eryx-python/src/error.rs": r"\bformat!\(",
    "eryx-net-policy/src/message.rs": r"=>|\bSome\(|\bformat!\(",
    "eryx-net-policy/src/http/message.rs": r"=>|\bSome\(|\bformat!\(",
}
LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)


class Message(NamedTuple):
    text: str
    meaning: str


def messages() -> dict[str, list[Message]]:
    """Return the messages of each area."""
    found: dict[str, list[Message]] = {area: [] for area in AREAS}
    paths = [path for crate in ROOT.glob("eryx-*/src") for path in crate.rglob("*.rs")]
    for path in sorted(paths):
        name = path.relative_to(ROOT).as_posix()
        if path.name != "tests.rs" and (area := area_of(name)):
            found[area] += in_rust(name, path.read_text())
    for path in sorted((ROOT / GUEST).rglob("*.py")):
        found["Inside of a program"] += in_python(path.read_text())
    return {area: list(dict.fromkeys(rows)) for area, rows in found.items()}


def area_of(name: str) -> str | None:
    prefixes = ((prefix, area) for area, prefixes in AREAS.items() for prefix in prefixes)
    return next((area for prefix, area in prefixes if name.startswith(prefix)), None)


def in_rust(name: str, source: str) -> Iterator[Message]:
    source = source.partition("#[cfg(test)]\nmod tests")[0]
    for match in re.finditer(BEFORE_IN.get(name, BEFORE), source):
        if source[: match.start()].rpartition("\n")[2].lstrip().startswith("//"):
            continue  # An example in the documentation.
        after = source[match.end() : match.end() + 300]
        literal = LITERAL.search(after)
        # Between the two is at most the name of a setting, or the call that formats the message.
        if literal is None or re.search(r"[;}]|\)\]|#\[", after[: literal.start()]):
            continue
        literal = LITERAL.search(source, match.end())
        text = readable(literal[1])
        if match[0] == "ConfigError::limit(" and re.fullmatch(r"\w+", text):
            # That is the name of the setting.
            second = LITERAL.search(source, literal.end())
            text = f"{text} {readable(second[1])}"
        if is_message(text):
            yield Message(text, doc_comment(source[: match.start()]))


def readable(literal: str) -> str:
    """Return the text of a literal with ``…`` for what is put into it."""
    text = re.sub(r"\\\n\s*", "", literal)
    text = text.replace('\\"', '"').replace("\\n", " ").replace("\\\\", "\\")
    text = re.sub(r"\{(?!\{)[^}]*\}", "…", text.replace("{{", "\0").replace("}}", "\1"))
    return text.replace("\0", "{").replace("\1", "}").strip()


def is_message(text: str) -> bool:
    """Return whether a text is more than a word, and more than another message."""
    return len(re.findall(r"[A-Za-z_]{2,}", text)) >= 3


def doc_comment(before: str) -> str:
    """Return the documentation of the variant whose attribute follows ``before``."""
    lines = []
    for line in reversed(before.rstrip().splitlines()):
        if not line.strip().startswith("///"):
            break
        lines.append(line.strip().removeprefix("///").strip())
    text = " ".join(reversed(lines))
    # Links of rustdoc lead nowhere in the book.
    return re.sub(r"\[(`?[^\]]+`?)\](?:\([^)]*\))?", r"\1", text)


def in_python(source: str) -> Iterator[Message]:
    """Yield the messages that name what is special in a sandbox; the others are CPython's own."""
    for node in ast.walk(ast.parse(source)):
        texts: list[ast.expr] = []
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            texts = node.exc.args
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("denied", "refusing"):
            texts = node.args[1:2]
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "").isupper():
            # The reasons of several refusals, which begin in the middle of a sentence.
            texts = [node.value] if python_text(node.value)[:1].islower() else []
        for text in map(python_text, texts):
            if (
                "\n" not in text
                and is_message(text)
                and re.search(r"sandbox|Eryx|machine|host\b|embedder|program", text)
            ):
                yield Message(text, "")


def python_text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = node.values
        return "".join(p.value if isinstance(p, ast.Constant) else "…" for p in parts)
    return ""


def tables() -> str:
    lines = []
    used: set[str] = set()
    for area, rows in messages().items():
        lines += ["", f"## {area}", "", "| Message | Meaning |", "|---|---|"]
        for text, meaning in rows:
            cell = f"`` {text} ``" if "`" in text else f"`{text}`"
            cells = [f'<a id="{anchor(text, used)}"></a>{cell}', meaning]
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def anchor(text: str, used: set[str]) -> str:
    """Return an anchor of the first words of a message, another one for each message."""
    words = re.findall(r"[a-z0-9_]+", text.lower())[:6]
    name, number = "-".join(words), 1
    while name in used:
        number += 1
        name = f"{'-'.join(words)}-{number}"
    used.add(name)
    return name


MARK = "<!-- generated: messages (from the code, by eryx-python/tests/test_error_messages.py) -->\n"


def test_the_page_has_every_message_of_the_code():
    before, mark, found = PAGE.read_text().partition(MARK)
    assert mark
    expected = tables()
    if os.environ.get("ERYX_WRITE_MESSAGES"):
        PAGE.write_text(before + MARK + expected)
        pytest.skip("the page was written")
    assert found == expected, "run this test with ERYX_WRITE_MESSAGES=1"


def test_messages_are_found_where_the_code_has_them():
    rust = """
    /// The file is missing; see [`Other`].
    #[error("the file {path} is not \\
             there; give {{another}} one")]
    Missing { path: String },
    #[error("{0}")]
    Other(String),
    /// FunctionError::new("ValueError", "an example of a message");
    fn g() {
        match error { NetError::Denied(_) => log("it was denied by the policy"), _ => {} }
        NetError::LimitReached(format!("this sandbox holds {} sockets", 1));
        FunctionError::new("ValueError", "the call has no name")
    }
    fn f() { ConfigError::limit("max_files", format!("is {}; give it one or more", 0)) }
    """
    assert list(in_rust("a.rs", rust)) == [
        Message("the file … is not there; give {another} one", "The file is missing; see `Other`."),
        Message("this sandbox holds … sockets", ""),
        Message("the call has no name", ""),
        Message("max_files is …; give it one or more", ""),
    ]
    python = 'raise OSError(errno.EPERM, f"{name}: a sandbox has none")\nraise KeyError(key)'
    assert list(in_python(python)) == [Message("…: a sandbox has none", "")]
    assert sum(map(len, messages().values())) > 300
