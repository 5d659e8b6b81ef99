import regex

assert regex.findall(r"\p{Lu}\w+", "Ägypten und Rom") == ["Ägypten", "Rom"]
assert regex.fullmatch(r"(?:a+)+b", "a" * 50, timeout=10) is None
assert regex.search(r"(?:ananas){e<=1}", "anonas").group() == "anonas"
