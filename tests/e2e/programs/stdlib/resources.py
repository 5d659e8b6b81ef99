"""Modules of the standard library have their files beside them."""

import encodings
import importlib.resources
import importlib.util
import json
import os
import pkgutil

source = pkgutil.get_data("json", "__init__.py")
assert source.startswith(b"r") and b"def dumps" in source
assert importlib.util.find_spec("json").loader.get_data(json.__file__) == source
for missing in ("nothing.py", "../nothing"):
    try:
        pkgutil.get_data("json", missing)
    except FileNotFoundError:
        continue
    raise AssertionError(missing)
with open("own.txt", "w") as file:
    file.write("own")
assert json.__loader__.get_data(os.path.abspath("own.txt")) == b"own"

files = importlib.resources.files("json")
assert files.is_dir() and not files.is_file()
assert {"__init__.py", "decoder.py", "tool.py"} <= {each.name for each in files.iterdir()}
assert (files / "__init__.py").read_bytes() == source
assert files.joinpath("decoder.py").is_file() and not (files / "nothing.py").is_file()
with (files / "decoder.py").open() as stream:
    assert "JSONDecoder" in stream.read()
with importlib.resources.as_file(files / "tool.py") as path, open(path) as stream:
    assert "argparse" in stream.read()
assert "reader" in importlib.resources.read_text("csv", "csv.py")
assert importlib.resources.is_resource("json", "scanner.py")
assert importlib.resources.read_binary("pydoc_data", "_pydoc.css").startswith(b"/*")
assert "architecture.rst" in importlib.resources.contents("email")

names = {each.name for each in pkgutil.iter_modules(encodings.__path__)}
assert {"ascii", "utf_8", "idna"} <= names, names
found = {each.name for each in pkgutil.walk_packages(importlib.__path__, "importlib.")}
assert {"importlib.abc", "importlib.resources", "importlib.resources.abc"} <= found, found
print("ok")
