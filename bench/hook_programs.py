"""The programs that ``bench.hooks`` runs: faults, other libraries, steps of installing."""

from __future__ import annotations

FILES = {
    "examplemail/faults.py": """
import asyncio, gc, logging, threading


def fail():
    raise ValueError("hunter2")


class Late:
    def __del__(self):
        fail()


def main():
    fail()


def thread():
    one = threading.Thread(target=fail, name="worker")
    one.start()
    one.join()


def logged():
    try:
        fail()
    except ValueError:
        logging.getLogger("examplemail").exception("it failed")


def finalizer():
    Late()
    gc.collect()


async def _fail():
    fail()


async def _task():
    asyncio.get_running_loop().set_exception_handler(HANDLER)
    if INSTALL:
        INSTALL(asyncio.get_running_loop())
    task = asyncio.ensure_future(_fail())
    await asyncio.sleep(0.01)
    del task
    gc.collect()


HANDLER = INSTALL = None


def task():
    asyncio.run(_task())
""",
    "examplemail/qt.py": """
import importlib, sys


def run(binding, what):
    core = importlib.import_module(binding + ".QtCore")
    signal = getattr(core, "Signal", None) or core.pyqtSignal

    class Window(core.QObject):
        pressed = signal()

        def press(self):
            raise ValueError("hunter2")

        def event(self, event):
            if event.type() == core.QEvent.Type.User:
                raise KeyError("hunter2")
            return super().event(event)

    class Thread(core.QThread):
        def run(self):
            raise LookupError("hunter2")

    application, window, thread = core.QCoreApplication([]), Window(), Thread()
    window.pressed.connect(window.press)
    if what == "slot":
        core.QTimer.singleShot(0, window.pressed.emit)
    elif what == "method":
        core.QCoreApplication.postEvent(window, core.QEvent(core.QEvent.Type.User))
    elif what == "thread":
        thread.start()
    else:
        raise EOFError("hunter2")
    core.QTimer.singleShot(300, application.quit)
    application.exec()
    thread.wait()
    print("went on")
""",
}
COMMON = """
import json, logging, sys
from examplemail import faults
taken, seen = [], []
sys.path.append(ROOT)
from mars.faults.capture import Capture
from mars.faults.hooks import Hooks
import atexit
def told():
    print("\\n" + json.dumps({"taken": taken, "seen": len(seen)}), flush=True)
def take(fault):
    taken.append(fault.types[0])
    told()  # PyQt may end the process at once
atexit.register(told)
capture = Capture(take, ["examplemail"])
hooks, handler = Hooks(capture), capture.handler()
logging.basicConfig(format="%(message)s")
def mars(on):
    if on:
        hooks.install()
        logging.getLogger().addHandler(handler)
        faults.INSTALL = lambda loop: hooks.install(asyncio=loop)
    else:
        hooks.uninstall()
        logging.getLogger().removeHandler(handler)
        faults.INSTALL = None
"""
TOOLS = {
    "sentry-sdk": """
def tool():
    import sentry_sdk
    from sentry_sdk.integrations.unraisablehook import UnraisablehookIntegration
    from sentry_sdk.transport import Transport
    class Recorder(Transport):
        def capture_envelope(self, envelope):
            seen.extend(each for each in envelope.items if each.type == "event")
    sentry_sdk.init(
        "http://key@127.0.0.1:9/1", transport=Recorder, integrations=[UnraisablehookIntegration()]
    )
def away():
    import sentry_sdk
    sentry_sdk.get_client().close(timeout=0)
""",
    "faulthandler": """
def tool():
    import faulthandler
    faulthandler.enable()
    seen.append(faulthandler.is_enabled())
def away():
    import faulthandler
    faulthandler.disable()
""",
    "IPython": """
def away():
    sys.excepthook = found
def tool():
    global found
    found = sys.excepthook
    from IPython.core.ultratb import FormattedTB
    shown = FormattedTB(theme_name="nocolor")
    def hook(*told):
        seen.append(told)
        shown(*told)
    sys.excepthook = hook
""",
}
"""``IPython``'s is the traceback that people install; it calls nothing that it found. Of sentry-sdk
the client is closed, as it has no other way back; its hooks stay."""
RUN = """
for step in ORDER.split():
    if step in ("T", "-T"):
        (tool if step == "T" else away)()
    else:
        mars(step == "M")
getattr(faults, FAULT)()
"""
QT = """
from examplemail import qt
hooks = Hooks(capture)
if "install" in WAY:
    hooks.install()
if "qt" in WAY:
    hooks.qt()
if "removed" in WAY:
    hooks.uninstall()
qt.run(BINDING, FAULT)
"""
TK = """
import tkinter
root = tkinter.Tk()
def shown(*told):
    seen.append(told)
for step in ORDER.split():
    if step == "T":
        found = root.report_callback_exception
        root.report_callback_exception = shown
    elif step == "-T":
        root.report_callback_exception = found
    elif step == "M":
        hooks.tk(root)
    else:
        hooks.uninstall()
root.after(0, faults.fail)
root.after(50, root.destroy)
root.mainloop()
"""
PYTEST = """
import json, pytest
from examplemail import faults
taken = []
from mars.faults.capture import Capture
from mars.faults.hooks import Hooks
capture = Capture(lambda fault: taken.append(fault.types[0]), ["examplemail"])
if ON:
    hooks = Hooks(capture)
    def pytest_configure(): hooks.install()
    def pytest_unconfigure():
        hooks.uninstall()
        print("\\n" + json.dumps({"taken": taken, "seen": 0}))
"""
PYTEST_TESTS = """
import sys
from examplemail import faults
def test_fails(): faults.main()
def test_thread(): faults.thread()
def test_finalizer(): faults.finalizer()
def test_passes(): pass
"""
