"""What PyInstaller does not see: modules that are loaded by name, and what they load in C.

Everything of the client is collected, since each part of it is loaded when it is first used:
docs/embedding.md, "Freezing it".
"""

from PyInstaller.utils.hooks import collect_submodules

hiddenimports = [
    # libsodium's binding is loaded by a module that is itself compiled (cffi, API mode).
    "_cffi_backend",
    *collect_submodules("mars", lambda name: not name.startswith("mars.__pyinstaller")),
]
