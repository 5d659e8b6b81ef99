"""The importer of the standard library from memory.

A sandbox has no files. While the image is built, `install` compiles the library from disk, stores
the code in memory, and adds a finder before all others.
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

# Large modules without use in a sandbox: they need a display, files, or a network of
# their own.
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


class StoredModule:
    """A module in memory: its path during the build, its code and its source."""

    __slots__ = ("code", "is_package", "path", "source")

    def __init__(self, path: str, is_package: bool, code: bytes, source: bytes) -> None:
        self.path = path
        self.is_package = is_package
        self.code = code
        self.source = source


class InMemoryLoader(InspectLoader):
    """Loads modules from memory. Also returns their sources to `linecache` and `inspect`."""

    def __init__(self, modules: dict[str, StoredModule]) -> None:
        self._modules = modules

    def _module(self, fullname: str) -> StoredModule:
        try:
            return self._modules[fullname]
        except KeyError:
            raise ImportError(f"{fullname} is not in the image", name=fullname) from None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """Returns None: the import system creates the module."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Runs the code of a module in its namespace."""
        exec(self.get_code(module.__name__), module.__dict__)

    def is_package(self, fullname: str) -> bool:
        """Returns whether a module is a package. Raises ImportError for an unknown module."""
        return self._module(fullname).is_package

    def get_code(self, fullname: str) -> CodeType:
        """Returns the code of a module. Raises ImportError for an unknown module."""
        code: CodeType = marshal.loads(self._module(fullname).code)
        return code

    def get_source(self, fullname: str) -> str:
        """Returns the source of a module. Raises ImportError for an unknown module."""
        return importlib.util.decode_source(zlib.decompress(self._module(fullname).source))

    def get_filename(self, fullname: str) -> str:
        """Returns the path of a module during the build of the image."""
        return self._module(fullname).path


class InMemoryFinder(MetaPathFinder):
    """Finds the modules in memory."""

    def __init__(self, modules: dict[str, StoredModule]) -> None:
        self._modules = modules
        self._loader = InMemoryLoader(modules)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Returns the spec of a module in memory, None for any other module."""
        module = self._modules.get(fullname)
        if module is None:
            return _find_tools() if fullname == "tools" else None
        spec = importlib.machinery.ModuleSpec(
            fullname, self._loader, origin=module.path, is_package=module.is_package
        )
        if module.is_package:
            spec.submodule_search_locations = [os.path.dirname(module.path)]
        spec.has_location = True
        return spec


def _find_tools() -> importlib.machinery.ModuleSpec | None:
    # Imported late: the host cannot be asked while the image is built.
    from eryx_guest import tools_module

    return tools_module.find_spec()


def install() -> None:
    """Stores the library, the bindings and the image's own modules, and adds the finder."""
    # Not all of `sys.path`: componentize-py adds the site-packages of the build to it.
    own = os.path.dirname(os.path.dirname(__file__))
    modules: dict[str, StoredModule] = {}
    for root in ("/python", "/bundled", "/world", own):
        for name, path, is_package in _modules(root, ""):
            if name not in modules:
                stored = _compile(path, is_package)
                if stored is not None:
                    modules[name] = stored
    finder = InMemoryFinder(modules)
    _replace_loaders(finder)
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


def _compile(path: str, is_package: bool) -> StoredModule | None:
    with open(path, "rb") as file:
        source = file.read()
    try:
        code = compile(source, path, "exec", dont_inherit=True)
    except SyntaxError:
        # A file with deliberate errors, which cannot be imported from disk either.
        return None
    return StoredModule(path, is_package, marshal.dumps(code), zlib.compress(source, 9))


def _replace_loaders(finder: InMemoryFinder) -> None:
    """Replaces the loaders of modules imported from disk, which read sources later."""
    for name, module in list(sys.modules.items()):
        spec = getattr(module, "__spec__", None)
        if spec is None or not isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            continue
        replacement = finder.find_spec(name, None)
        if replacement is not None:
            module.__spec__ = replacement
            module.__loader__ = replacement.loader
