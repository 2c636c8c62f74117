"""As ``setup.py`` at the root: nothing of an earlier build gets into a wheel."""

import shutil

import setuptools

shutil.rmtree("build/lib", ignore_errors=True)
setuptools.setup()
