"""What PyInstaller does not see: modules that are loaded by name, and what they load in C.

Everything of the client is collected, since each part of it is loaded when it is first used:
docs/embedding.md, "Freezing it".
"""

import pkgutil

import mars

hiddenimports = [
    # libsodium's binding is loaded by a module that is itself compiled (cffi, API mode).
    "_cffi_backend",
    *(
        module.name
        for module in pkgutil.walk_packages(mars.__path__, "mars.")
        if not module.name.startswith("mars.__pyinstaller")
    ),
]
