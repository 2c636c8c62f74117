"""Builds a wheel from what is here now; everything else stands in setup.cfg.

setuptools copies into build/lib and never clears it, so a module that was deleted since the last
``pip install .`` would come back with the next.
"""

import shutil

import setuptools

shutil.rmtree("build/lib", ignore_errors=True)
setuptools.setup()
