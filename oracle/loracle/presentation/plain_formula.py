"""LaTeX formulas as one line of text for the terminal, which cannot set them."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from pylatexenc.latex2text import LatexNodes2Text, MacroTextSpec
from pylatexenc.latex2text import get_default_latex_context_db as text_context
from pylatexenc.latexwalker import LatexGroupNode, LatexWalker
from pylatexenc.latexwalker import get_default_latex_context_db as syntax_context
from pylatexenc.macrospec import MacroSpec

__all__ = ["plain_formula"]

_SIZES = re.compile(r"\\(?:[bB]igg?[lrm]?|left|right|displaystyle)(?![a-zA-Z])\.?")

_SHORT_FRACTION = re.compile(r"\\[td]?frac\s*([0-9])\s*([0-9])")

_FRACTIONS = ("frac", "tfrac", "dfrac")

_UNMARKED = ("mathsf", "mathrm", "mathbf", "operatorname")

_ACCENTS = {"widetilde": "~", "tilde": "~", "overline": "-bar", "bar": "-bar"}

_LOW_LINE = "\u0332"

_ATOM = re.compile(rf"[0-9]+|∂?\w{_LOW_LINE}?(?:[_^](?:\w|\{{[^{{}}]*\}}))*")
"""A number, or one letter with its indices, or the derivative in one."""


_RELATION = re.compile(r"(:=|[≤≥=≈≠∈→⇒⊙⊗])")

_GROUP = re.compile(r"(\{[^{}]*\})")

_FUNCTION = re.compile(r"(?<!\w)(log|lim|sup|deg|rank)(?=\w)")


def plain_formula(latex: str) -> str:
    """The formula with Unicode symbols. Groups of more than one character keep their braces, and a
    numerator or denominator that is no single symbol has parentheses, so that it reads one way.
    """
    latex = _SHORT_FRACTION.sub(r"\\frac{\1}{\2}", _SIZES.sub("", latex))
    nodes, _, _ = LatexWalker(latex, latex_context=_syntax()).get_latex_nodes()
    text = _FUNCTION.sub(r"\1 ", str(_converter().nodelist_to_text(nodes)))
    # Indices keep their own spacing.
    pieces = (
        piece if piece.startswith("{") else _RELATION.sub(r" \1 ", piece)
        for piece in _GROUP.split(text)
    )
    return " ".join("".join(pieces).split())


@cache
def _syntax() -> Any:
    one_argument = (*_UNMARKED, *_ACCENTS, "underline", "text")
    macros = [MacroSpec(name, "{") for name in one_argument]
    macros += [MacroSpec(name, "{{") for name in (*_FRACTIONS, "binom")]
    context = syntax_context()
    context.add_context_category("loracle", macros=macros, prepend=True)
    return context


@cache
def _converter() -> Any:
    replacements: dict[str, Any] = {
        **dict.fromkeys(_FRACTIONS, _fraction),
        **dict.fromkeys(_UNMARKED, _argument_text),
        **dict.fromkeys(("|", "lVert", "rVert", "Vert"), "‖"),
        **{name: f"%s{mark}" for name, mark in _ACCENTS.items()},
        "binom": _binomial,
        "text": _words,
        "underline": _underlined,
        "ne": "≠",
        "neq": "≠",
        "sqrt": "√(%(2)s)",
    }
    macros = [MacroTextSpec(name, simplify_repl=text) for name, text in replacements.items()]
    context = text_context()
    context.add_context_category("loracle", macros=macros, prepend=True)
    return LatexNodes2Text(
        latex_context=context,
        math_mode="text",
        keep_braced_groups=True,
        keep_braced_groups_minlen=2,
    )


def _argument(node: Any, index: int, converter: Any) -> str:
    """The text of an argument, without the braces that delimit it."""
    argument = node.nodeargd.argnlist[index]
    nodes = argument.nodelist if argument.isNodeType(LatexGroupNode) else [argument]
    return str(converter.nodelist_to_text(nodes)).strip()


def _argument_text(node: Any, l2tobj: Any) -> str:
    return _argument(node, 0, l2tobj)


def _words(node: Any, l2tobj: Any) -> str:
    return f" {_argument(node, 0, l2tobj)} "


def _fraction(node: Any, l2tobj: Any) -> str:
    parts = [_argument(node, index, l2tobj) for index in (0, 1)]
    return "/".join(part if _ATOM.fullmatch(part) else f"({part})" for part in parts)


def _binomial(node: Any, l2tobj: Any) -> str:
    return f"C({_argument(node, 0, l2tobj)}, {_argument(node, 1, l2tobj)})"


def _underlined(node: Any, l2tobj: Any) -> str:
    text = _argument(node, 0, l2tobj)
    return text + _LOW_LINE if len(text) == 1 else f"vec({text})"
