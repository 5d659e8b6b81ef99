import tiktoken

# The encodings that have names are downloaded.
ranks = {bytes([byte]): byte for byte in range(256)}
for pair in (b"to", b"ke", b"tok", b"en", b"token", b" token"):
    ranks[pair] = len(ranks)
encoding = tiktoken.Encoding(
    "small",
    pat_str=r"\p{L}+| ?\p{L}+|\p{N}{1,3}|\s+(?!\S)|[^\s\p{L}\p{N}]+|\s+",
    mergeable_ranks=ranks,
    special_tokens={"<|end|>": len(ranks)},
)
tokens = encoding.encode("token token 1234\n<|end|>", allowed_special="all")
assert encoding.decode(tokens) == "token token 1234\n<|end|>", tokens
assert tokens[-1] == len(ranks) and len(tokens) < 12, tokens
text = "Ä \N{SNOWMAN} 12345, token!" * 200
assert encoding.decode(encoding.encode(text)) == text
assert encoding.encode_batch([text, "token"], num_threads=2)[1] == [ranks[b"token"]]
try:
    encoding.encode("<|end|>")
except ValueError as error:
    assert "special token" in str(error), error
else:
    raise AssertionError("a special token in a text")
