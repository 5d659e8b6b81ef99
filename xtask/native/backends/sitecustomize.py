"""Gives setup scripts of packages what they expect of setuptools, in every process of the build."""

import sys
import types

# The setup script of zstandard imports it where `SETUPTOOLS_EXT_SUFFIX` is set, and changes it.
# setuptools calls its copy of distutils by either name.
for folder in ("setuptools._distutils", "distutils"):
    sys.modules[f"{folder}.py39compat"] = types.ModuleType("py39compat")
