"""Finds names in a Lua script that no `local`, parameter or loop declares."""

import re
from dataclasses import dataclass, field

TOKEN = re.compile(
    r"--\[\[.*?\]\]|--[^\n]*"
    r"|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\""
    r"|[A-Za-z_]\w*|\d[\w.]*|\.\.\.|\.\.|[=~<>]=|[^\s]",
    re.DOTALL,
)
NAME = re.compile(r"[A-Za-z_]\w*")
KEYWORDS = frozenset(
    {"and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in", "local"}
    | {"nil", "not", "or", "repeat", "return", "then", "true", "until", "while"}
)
OPENS = frozenset({"then", "repeat"})
CLOSES = frozenset({"end", "until", "else", "elseif"})
# What the servers give to scripts, as far as ours may use it.
GIVEN = frozenset(
    {
        "KEYS",
        "ARGV",
        "cjson",
        "ipairs",
        "math",
        "pairs",
        "pcall",
        "redis",
        "string",
        "table",
        "tonumber",
        "tostring",
        "type",
    }
    | {"unpack"}
)


@dataclass
class _Reader:
    tokens: list[str]
    at: int = 0
    scopes: list[set[str]] = field(default_factory=lambda: [set(GIVEN)])
    unknown: list[str] = field(default_factory=list)

    def take(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1]

    @property
    def following(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def names(self) -> list[str]:
        """A list of names with commas between, as after `local` or `for`."""
        found = [self.take()]
        while self.following == ",":
            self.take()
            found.append(self.take())
        return found

    def parameters(self) -> None:
        """The head of a function: a new scope with its parameters."""
        assert self.take() == "("
        names = set()
        while (token := self.take()) != ")":
            names.add(token)
        self.scopes.append(names)


def undeclared(source: str) -> list[str]:
    """Names that are read or written without having been declared where they are used."""
    tokens = [token for token in TOKEN.findall(source) if not token.startswith("--")]
    reader = _Reader(tokens)
    loop_names: set[str] = set()
    while reader.at < len(tokens):
        before = tokens[reader.at - 1] if reader.at else ""
        token = reader.take()
        if token == "local":
            _declare(reader)
        elif token == "for":
            loop_names = set(reader.names())
        elif token == "function":
            reader.parameters()
        elif token == "do":
            reader.scopes.append(loop_names)
            loop_names = set()
        elif token in OPENS | CLOSES:
            _turn(reader, token)
        elif NAME.fullmatch(token) and token not in KEYWORDS:
            _use(reader, token, before)
    assert len(reader.scopes) == 1, "blocks do not match"
    return reader.unknown


def _turn(reader: _Reader, token: str) -> None:
    if token in CLOSES:
        closed = reader.scopes.pop()
        if token == "until":
            # Its condition still sees the names of the block.
            reader.scopes[-1] |= closed
    if token in OPENS or token == "else":
        reader.scopes.append(set())


def _declare(reader: _Reader) -> None:
    if reader.following == "function":
        reader.take()
        reader.scopes[-1].add(reader.take())
        reader.parameters()
    else:
        reader.scopes[-1].update(reader.names())


def _use(reader: _Reader, name: str, before: str) -> None:
    is_field = before in {".", ":"}
    is_key = reader.following == "=" and before in {"{", ","}
    if not is_field and not is_key and not any(name in scope for scope in reader.scopes):
        reader.unknown.append(name)
