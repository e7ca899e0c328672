r"""One spelling for texts that differ only in typesetting: Unicode, spaces, sizes, delimiters, thousands separators."""

from __future__ import annotations

import re

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_CHARACTERS = {
    **dict.fromkeys("\N{MINUS SIGN}\N{EN DASH}\N{HYPHEN}\N{NON-BREAKING HYPHEN}", "-"),
    **dict.fromkeys("\N{MULTIPLICATION SIGN}\N{MULTIPLICATION X}", r"\times "),
    **dict.fromkeys("\N{MIDDLE DOT}\N{DOT OPERATOR}\N{BULLET}\N{BULLET OPERATOR}", r"\cdot "),
    **dict.fromkeys("\N{NO-BREAK SPACE}\N{THIN SPACE}\N{NARROW NO-BREAK SPACE}", " "),
    **dict.fromkeys("\N{DEGREE SIGN}\N{MASCULINE ORDINAL INDICATOR}", r"^{\circ}"),
    **dict.fromkeys("\N{PRIME}\N{RIGHT SINGLE QUOTATION MARK}", "'"),
    **dict.fromkeys("\N{DIVISION SLASH}\N{FRACTION SLASH}", "/"),
    "\N{ZERO WIDTH SPACE}": "",
    "÷": r"\div ",
    "√": r"\sqrt ",
    "∛": r"\sqrt[3]",
    "∞": r"\infty ",
    "≤": r"\leq ",
    "⩽": r"\leq ",
    "≥": r"\geq ",
    "⩾": r"\geq ",
    "≠": r"\neq ",
    "≈": r"\approx ",
    "≡": r"\equiv ",
    "∈": r"\in ",
    "∪": r"\cup ",
    "∩": r"\cap ",
    "∖": r"\setminus ",
    "∅": r"\emptyset ",
    "ℝ": r"\mathbb{R}",
    "ℤ": r"\mathbb{Z}",
    "ℕ": r"\mathbb{N}",
    "ℚ": r"\mathbb{Q}",
    "ℂ": r"\mathbb{C}",
    "±": r"\pm ",
    "∓": r"\mp ",
    "…": r"\ldots ",
    "⋯": r"\cdots ",
    "⌊": r"\lfloor ",
    "⌋": r"\rfloor ",
    "⌈": r"\lceil ",
    "⌉": r"\rceil ",
    "⟨": r"\langle ",
    "⟩": r"\rangle ",
    "∠": r"\angle ",
    "△": r"\triangle ",
    "½": r"\frac{1}{2}",
    "⅓": r"\frac{1}{3}",
    "⅔": r"\frac{2}{3}",
    "¼": r"\frac{1}{4}",
    "¾": r"\frac{3}{4}",
    "⅛": r"\frac{1}{8}",
    "€": r"\euro ",
    "£": r"\pounds ",
    "¢": r"\text{ cents}",
    **{chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)},  # full-width forms
    "、": ", ",
    "。": ".",
}
_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma"
    " tau upsilon phi chi psi omega"
).split()
_GREEK_LETTERS = dict(zip("αβγδεζηθικλμνξοπρστυφχψω", _GREEK, strict=True)) | {
    "Γ": "Gamma",
    "Δ": "Delta",
    "Θ": "Theta",
    "Λ": "Lambda",
    "Ξ": "Xi",
    "Π": "Pi",
    "Σ": "Sigma",
    "Φ": "Phi",
    "Ψ": "Psi",
    "Ω": "Omega",
    "ϕ": "phi",
    "ϵ": "epsilon",
}
_TABLE = str.maketrans(_CHARACTERS | {letter: f"\\{name} " for letter, name in _GREEK_LETTERS.items()})

_LETTERS = r"(?:[a-zA-Z,\s]|\\(?:in|mathbb|mathbf|geq?|text)(?![a-z])|[{}^+*])*"
_QUALIFIER = (
    # At the end of an answer, the range of a parameter, or that something was only rounded, says nothing new.
    r"(?:\\(?:text|mbox|textrm)\{[\s,]*(?:for (?:all|any|every|each)|where)\b[^{}]*\}|\\forall(?![a-z]))"
    rf"{_LETTERS}$"
    r"|,\s*[a-zA-Z](?:,\s*[a-zA-Z])*\s*\\in\s*\\math(?:bb|bf)\s*\{?[ZNRQ]\}?(?:\^?[+*]|\^\{[+*]\})?\s*$"
    r"|\\text\{\s*\((?:about|approximately|approx\.?|roughly)\b[^,;]*$"
)

_REWRITES = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        # After the first rewrite no backslash is the second one of a pair.
        (r"\\\\(?:\[-?[\d.]+ *[a-z]{2}\])?", r" \\newline "),
        (r"\\\$", r"\\dollar "),
        (r"\$|\\[()\[\]]", " "),
        (r"\\(?:left|right)\s*\.", ""),
        (r"\\(?:left|right|[bB]igg?[lrm]?|middle|(?:display|text|script)style|(?:no)?limits)(?![a-zA-Z])", ""),
        (r"\\\{\s*(?=\\begin\s*\{(?:array|cases|aligned)\})", ""),
        (r"\\(?:boxed|fbox)\s*(?=\{)", ""),
        (r"(?<=\d)\s*(?:\{\s*,\s*\}|,\s*\\!)\s*(?=\d{3}(?!\d))", ""),
        (r"(?<=\d)\{\s*,\s*\}(?=\d)", "."),
        (r"\\!|\\(?:hspace|vspace|phantom|label|tag)\*?\{[^{}]*\}", ""),
        (r"\\[,;:> ]|~|\\(?:q?quad|enspace|(?:neg)?(?:thin|med|thick)space|hfill|space)(?![a-zA-Z])", " "),
        (r"\s+", " "),
        (r"\\([%#_])", r"\1"),
        (r"\\not\s*=", r"\\neq "),
        (r"\\&", r" \\text{and} "),
        (r"\\[dtc](frac|binom)(?![a-zA-Z])", r"\\\1"),
        (r"(?<=[)\]}])\s*U\s*(?=[(\[{\\])", r"\\cup "),
        (r"\*\*(?=\s*$)|^\s*\*\*", ""),
        (r"\(\s*(?:\\(?:text|mathrm|operatorname)\s*\{\s*)?mod\b(?:\s*\})?\s*([^()]{1,20})\)", r"\\pmod{\1}"),
        (r"^\s*(?:\\(?:approx|simeq)(?![a-z])|=)", ""),
        (_QUALIFIER, ""),
    )
]
_ESCAPED_TWICE = re.compile(r"\\\\(?=[a-zA-Z])")
_SUPERSCRIPT = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+")
_SUBSCRIPT = re.compile("[₀₁₂₃₄₅₆₇₈₉]+")


def clean(text: str) -> str:
    """Return the text without what only typesetting needs; takes time linear in the length."""
    if not text.isascii():
        text = _SUPERSCRIPT.sub(lambda run: f"^{{{run[0].translate(_SUPERSCRIPTS)}}}", text)
        text = _SUBSCRIPT.sub(lambda run: f"_{{{run[0].translate(_SUBSCRIPTS)}}}", text)
        text = text.translate(_TABLE)
    if "\\\\" in text and "\\begin" not in text:
        text = _ESCAPED_TWICE.sub(r"\\", text)
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    text = text.strip(" ,;")
    return text[:-1].rstrip(" ,;") if text.endswith(".") and not text.endswith("..") else text
