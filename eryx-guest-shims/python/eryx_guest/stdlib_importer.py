"""The standard library, carried inside the image.

A running guest has no files. While the image is built the interpreter sees its library on disk;
`install` compiles all of it, keeps the code in memory and puts one finder in front of the others.
"""

import importlib.machinery
import importlib.util
import marshal
import os
import sys
import zlib
from collections.abc import Iterator, Sequence
from importlib.abc import InspectLoader, MetaPathFinder
from types import CodeType, ModuleType

# Of no use without a display, a file system or a network of their own, and large.
EXCLUDED = frozenset(
    {
        "tkinter",
        "turtle",
        "turtledemo",
        "idlelib",
        "ensurepip",
        "venv",
        "site-packages",
        "test",
    }
)


class Entry:
    """One module: where it came from, its code and its source."""

    __slots__ = ("code", "is_package", "path", "source")

    def __init__(self, path: str, is_package: bool, code: bytes, source: bytes) -> None:
        self.path = path
        self.is_package = is_package
        self.code = code
        self.source = source


class BundleLoader(InspectLoader):
    """Loads modules from the bundle. `linecache` and `inspect` get their sources from it too."""

    def __init__(self, entries: dict[str, Entry]) -> None:
        self._entries = entries

    def _entry(self, fullname: str) -> Entry:
        try:
            return self._entries[fullname]
        except KeyError:
            raise ImportError(f"{fullname} is not in the image", name=fullname) from None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """Leave it to the import system."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code in its namespace."""
        exec(self.get_code(module.__name__), module.__dict__)

    def is_package(self, fullname: str) -> bool:
        """Whether `fullname` is a package. Raises ImportError if it is not in the bundle."""
        return self._entry(fullname).is_package

    def get_code(self, fullname: str) -> CodeType:
        """The code of a module. Raises ImportError for a module that is not in the bundle."""
        code: CodeType = marshal.loads(self._entry(fullname).code)
        return code

    def get_source(self, fullname: str) -> str:
        """The source of a module. Raises ImportError for a module that is not in the bundle."""
        return importlib.util.decode_source(zlib.decompress(self._entry(fullname).source))

    def get_filename(self, fullname: str) -> str:
        """Where the module was when the image was built."""
        return self._entry(fullname).path


class BundleFinder(MetaPathFinder):
    """Finds the modules of the bundle."""

    def __init__(self, entries: dict[str, Entry]) -> None:
        self._entries = entries
        self._loader = BundleLoader(entries)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """A spec for a module of the bundle, None for any other."""
        entry = self._entries.get(fullname)
        if entry is None:
            return None
        spec = importlib.machinery.ModuleSpec(
            fullname, self._loader, origin=entry.path, is_package=entry.is_package
        )
        if entry.is_package:
            spec.submodule_search_locations = [os.path.dirname(entry.path)]
        spec.has_location = True
        return spec


def install() -> None:
    """Bundle the library, the bindings and our own modules, and find modules there from now on."""
    # Not all of `sys.path`: componentize-py adds the builder's own site-packages to it.
    own = os.path.dirname(os.path.dirname(__file__))
    entries: dict[str, Entry] = {}
    for root in ("/python", "/bundled", "/world", own):
        for name, path, is_package in _modules(root, ""):
            if name not in entries:
                entry = _compile(path, is_package)
                if entry is not None:
                    entries[name] = entry
    finder = BundleFinder(entries)
    _adopt(finder)
    sys.meta_path.insert(0, finder)


def _modules(directory: str, prefix: str) -> Iterator[tuple[str, str, bool]]:
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return
    for name in names:
        path = f"{directory}/{name}"
        if name.endswith(".py"):
            stem = name.removesuffix(".py")
            if prefix + stem not in EXCLUDED and stem != "__init__":
                yield prefix + stem, path, False
        elif name.isidentifier() and prefix + name not in EXCLUDED:
            init = f"{path}/__init__.py"
            if os.path.isfile(init):
                yield prefix + name, init, True
                yield from _modules(path, f"{prefix}{name}.")


def _compile(path: str, is_package: bool) -> Entry | None:
    with open(path, "rb") as file:
        source = file.read()
    try:
        code = compile(source, path, "exec", dont_inherit=True)
    except SyntaxError:
        # A sample that must not compile; nothing can import it from disk either.
        return None
    return Entry(path, is_package, marshal.dumps(code), zlib.compress(source, 9))


def _adopt(finder: BundleFinder) -> None:
    """Point modules that came from disk at the bundle: their loader is asked for sources later."""
    for name, module in list(sys.modules.items()):
        spec = getattr(module, "__spec__", None)
        if spec is None or not isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            continue
        bundled = finder.find_spec(name, None)
        if bundled is not None:
            module.__spec__ = bundled
            module.__loader__ = bundled.loader
