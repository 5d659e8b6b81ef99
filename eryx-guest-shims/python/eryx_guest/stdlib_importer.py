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
from collections.abc import Callable, Iterator, Sequence
from importlib.abc import InspectLoader, Loader, MetaPathFinder, PathEntryFinder
from types import CodeType, ModuleType
from typing import Any

from eryx_guest import stdlib_patches

_NO_DISPLAY = "a sandbox has no display"
_NO_PROCESSES = "a sandbox cannot start the interpreter of an environment"
_NO_INSTALLER = "a sandbox cannot install packages; give them to its factory (`SandboxFactory`)"
_NO_INTERPRETERS = "a sandbox has one interpreter; use threads"

# Modules that a sandbox has no use for, or cannot have, and the reason that an import gives.
UNAVAILABLE = {
    "tkinter": _NO_DISPLAY,
    "_tkinter": _NO_DISPLAY,
    "turtle": _NO_DISPLAY,
    "turtledemo": _NO_DISPLAY,
    "idlelib": _NO_DISPLAY,
    "ensurepip": _NO_INSTALLER,
    "venv": _NO_PROCESSES,
    "_interpreters": _NO_INTERPRETERS,
    "_interpchannels": _NO_INTERPRETERS,
    "_interpqueues": _NO_INTERPRETERS,
}

_LIBRARY = "/python"

EXCLUDED = frozenset({*UNAVAILABLE, "site-packages", "test", "eryx_modules", "tzdata"})


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

    def __init__(self, modules: dict[str, StoredModule], data: dict[str, bytes]) -> None:
        self._modules = modules
        # By path, compressed.
        self._data = data
        self._by_path = {module.path: module for module in modules.values()}

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
        stdlib_patches.patch(module)

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

    def get_data(self, path: str) -> bytes:
        """Returns the content of a file: of the library, or of any other path."""
        module = self._by_path.get(path)
        content = self._data.get(path) if module is None else module.source
        if content is not None:
            return zlib.decompress(content)
        with open(path, "rb") as file:
            return file.read()

    def get_resource_reader(self, fullname: str) -> Any:
        """Returns the reader of the files beside a module."""
        # Imported late: few programs need it.
        from eryx_guest.stdlib_resources import StoredPath, StoredResources

        directory = os.path.dirname(self._module(fullname).path)
        names = frozenset((*self._by_path, *self._data))
        return StoredResources(StoredPath(directory, names, self.get_data))


class InMemoryDirectory(PathEntryFinder):
    """Finds the modules of one package, and lists them for `pkgutil`."""

    def __init__(self, path: str, finder: "InMemoryFinder") -> None:
        """Raises ImportError for a path that is no package in memory: it is a hook of paths."""
        package = finder.packages.get(path)
        if package is None:
            raise ImportError("only packages of the standard library are supported", path=path)
        self._package = package
        self._finder = finder

    def find_spec(
        self, fullname: str, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Returns the spec of a module in memory, None for any other module."""
        if fullname.rpartition(".")[0] != self._package:
            return None
        return self._finder.find_spec(fullname, ())

    def iter_modules(self, prefix: str = "") -> Iterator[tuple[str, bool]]:
        """Yields the name of each module, and whether it is a package."""
        start = self._package + "."
        for name, is_package in self._finder.modules():
            last = name.removeprefix(start)
            if last != name and "." not in last:
                yield prefix + last, is_package


class UnavailableLoader(Loader):
    """Raises ModuleNotFoundError with the reason why a sandbox lacks a module.

    The module has a spec, as on a CPython that was built without a library: programs that only look
    for it then import it, and handle the exception.
    """

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """Raises ModuleNotFoundError."""
        raise ModuleNotFoundError(
            f"No module named {spec.name!r}: {UNAVAILABLE[spec.name]}", name=spec.name
        )

    def exec_module(self, module: ModuleType) -> None:
        """Is never called, as no module is created."""


class InMemoryFinder(MetaPathFinder):
    """Finds the modules in memory."""

    def __init__(self, modules: dict[str, StoredModule], data: dict[str, bytes]) -> None:
        self._modules = modules
        self._loader = InMemoryLoader(modules, data)
        self.packages = {
            os.path.dirname(module.path): name
            for name, module in modules.items()
            if module.is_package
        }
        """The packages, by the path of their directory."""
        self._unavailable = UnavailableLoader()

    def modules(self) -> Iterator[tuple[str, bool]]:
        """Yields the name of each module, and whether it is a package."""
        for name, module in sorted(self._modules.items()):
            yield name, module.is_package

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Returns the spec of a module in memory, None for any other module."""
        module = self._modules.get(fullname)
        if module is None:
            if fullname in UNAVAILABLE:
                return importlib.machinery.ModuleSpec(fullname, self._unavailable)
            return None if path is not None else _find_functions(fullname)
        spec = importlib.machinery.ModuleSpec(
            fullname, self._loader, origin=module.path, is_package=module.is_package
        )
        if module.is_package:
            spec.submodule_search_locations = [os.path.dirname(module.path)]
        spec.has_location = True
        return spec


# Returns the functions that the host offers in a module. There is no host while the image is built.
_functions_in: Callable[[str], list[Any]] | None = None

# Updates the modules of functions, once a program has looked for one.
_refresh: Callable[[Callable[[str], list[Any]]], None] | None = None


def find_functions(functions_in: Callable[[str], list[Any]]) -> None:
    """Lets programs import functions, from now on."""
    global _functions_in
    _functions_in = functions_in


def refresh_functions() -> None:
    """Gives the modules of functions that a program has imported the functions of this sandbox."""
    if _refresh is not None and _functions_in is not None:
        _refresh(_functions_in)


def _find_functions(name: str) -> importlib.machinery.ModuleSpec | None:
    global _refresh
    if _functions_in is None or not (descriptions := _functions_in(name)):
        return None
    # Imported late: a sandbox without functions does not need it.
    from eryx_guest import tools_module

    _refresh = tools_module.refresh
    return tools_module.find_spec(name, descriptions)


def install() -> None:
    """Stores the library, the bindings and the image's own modules, and adds the finder."""
    # Not all of `sys.path`: componentize-py adds the site-packages of the build to it.
    own = os.path.dirname(os.path.dirname(__file__))
    modules: dict[str, StoredModule] = {}
    # The first one also has the modules that the library of a WASI build lacks.
    for root in (f"{own}/eryx_modules", _LIBRARY, "/bundled", "/world", own):
        for name, path, is_package in _modules(root, ""):
            if name not in modules:
                stored = _compile(path, is_package)
                if stored is not None:
                    modules[name] = stored
    finder = InMemoryFinder(modules, _package_data(modules))
    _replace_loaders(finder)
    sys.meta_path.insert(0, finder)
    sys.path_hooks.insert(0, lambda path: InMemoryDirectory(path, finder))


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


def _package_data(modules: dict[str, StoredModule]) -> dict[str, bytes]:
    """Returns the files beside the modules of the library's packages, compressed, by path."""
    data = {}
    for module in modules.values():
        if not module.is_package or not module.path.startswith(_LIBRARY):
            continue
        for entry in os.scandir(os.path.dirname(module.path)):
            if entry.is_file() and not entry.name.endswith((".py", ".pyc")):
                with open(entry.path, "rb") as file:
                    data[entry.path] = zlib.compress(file.read(), 9)
    return data


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
        stdlib_patches.patch(module)
        replacement = finder.find_spec(name, None)
        if replacement is not None:
            module.__spec__ = replacement
            module.__loader__ = replacement.loader
