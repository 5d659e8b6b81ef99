import yaml

assert yaml.__with_libyaml__
text = "a: [1, 2.5, null, true]\nb:\n  - é\n  - |\n    text\n"
value = {"a": [1, 2.5, None, True], "b": ["é", "text\n"]}
assert yaml.load(text, Loader=yaml.CSafeLoader) == yaml.safe_load(text) == value
assert yaml.safe_load(yaml.dump(value, Dumper=yaml.CSafeDumper)) == value
