"""An application that fails with what nobody may learn in every place of an exception.

Every secret holds ``MARK``. Some cases have the shape of public bug reports, whose numbers stand
beside them; nothing is copied from these.
"""

from __future__ import annotations

MARK = "zq7"
VALUES = f'''
PASSWORD = "{MARK}-correct-horse"
TOKEN = "ghp_{MARK}A1b2C3"
HOME = "/home/{MARK}-smith"
WINDOWS = "C:\\\\Users\\\\{MARK} Smith\\\\AppData"
MAIL = "{MARK}.smith@example.net"
ONION = "{MARK}aa2qgh6nlfcy5h4mtqgbwtnq3vl7p4cl5brgsyjk2o4zvv6ugakad.onion"
HOST = "{MARK}-laptop"
URL = "https://smith:{MARK}@example.net/?key={MARK}"
'''
CASES = (
    VALUES
    + """
import asyncio, configparser, dataclasses, enum, errno, http.client, imaplib, importlib, io, json
import os, pathlib, pickle, shlex, smtplib, sqlite3, string, subprocess, sys, urllib.error
import urllib.parse, xml.etree.ElementTree, zipfile
from contextlib import ExitStack, contextmanager

from examplemail import helpers


class AppError(Exception):
    pass


class Account:
    def __init__(self, password):
        self.password = password

    def __repr__(self):
        return f"Account({self.password})"

    __str__ = __repr__

    def login(self):
        raise PermissionError(errno.EACCES, f"no login with {self.password}", self.password)


class SecretiveError(Exception):
    def __init__(self, **values):
        super().__init__(values)
        self.__dict__.update(values)

    def __str__(self):
        return f"{self.__dict__}"

    def __repr__(self):
        return f"SecretiveError({self.__dict__})"


@dataclasses.dataclass
class Row:
    password: str
    token: str = TOKEN


def case_message(): raise ValueError(PASSWORD)
def case_arguments(): raise ValueError(PASSWORD, {"token": TOKEN}, [MAIL])
def case_f_string(): raise AppError(f"{MAIL} has the password {PASSWORD!r}")
def case_percent(): raise AppError("%s at %s" % (MAIL, ONION))
def case_key(): {}[PASSWORD]
def case_key_of_a_tuple(): {}[(MAIL, PASSWORD)]
def case_attribute(): raise AttributeError(PASSWORD, name=TOKEN, obj=Account(PASSWORD))
def case_missing_attribute(): getattr(Account(PASSWORD), TOKEN)
def case_name(): raise NameError(PASSWORD, name=TOKEN)
def case_evaluated_name(): eval(MAIL.partition("@")[0].replace(".", "_"))
def case_custom_str(): raise SecretiveError(password=PASSWORD, mail=MAIL)
def case_repr_in_arguments(): raise AppError(Account(PASSWORD))
def case_method_with_locals(): Account(PASSWORD).login()
def case_dataclass(): raise AppError(Row(PASSWORD))
def case_enumeration(): enum.Enum("Colour", {"RED": PASSWORD})(TOKEN)


def case_locals():
    password, token, secret_list = PASSWORD, TOKEN, [MAIL] * 3
    return password + token + str(secret_list[7])


def case_default_argument():
    def connect(password=PASSWORD, *, token=TOKEN):
        return int(password)
    connect()


def case_closure():
    password = PASSWORD
    return (lambda: int(password))()


def case_cause():
    try:
        int(PASSWORD)
    except ValueError as error:
        raise AppError(MAIL) from error


def case_context():
    try:
        {}[PASSWORD]
    except KeyError:
        raise AppError(f"while {TOKEN}")


def case_long_chain():
    error = None
    for number in range(30):
        try:
            raise AppError(f"{PASSWORD} {number}") from error
        except AppError as caught:
            error = caught
    raise error


def case_notes():
    error = ValueError(1)
    error.__notes__ = [PASSWORD, f"sent to {MAIL}"]
    raise error


def case_group(): raise ExceptionGroup(PASSWORD, [ValueError(TOKEN), KeyError(MAIL)])


def case_nested_group():
    inner = ExceptionGroup(TOKEN, [AppError(HOME), OSError(5000, WINDOWS, URL)])
    raise ExceptionGroup(PASSWORD, [inner, SecretiveError(mail=MAIL)])


def case_task_group():
    async def work(password):
        raise AppError(password)

    async def main():
        async with asyncio.TaskGroup() as group:
            group.create_task(work(PASSWORD), name=TOKEN)
            group.create_task(work(MAIL), name=HOST)

    asyncio.run(main())


def case_coroutine_name():
    async def work():
        raise AppError(PASSWORD)

    work.__qualname__ = work.__name__ = TOKEN
    asyncio.run(work())


def case_generator_name():
    def made():
        yield int(PASSWORD)

    made.__qualname__ = TOKEN
    list(made())


def case_function_name():
    def work(password):
        return int(password)

    work.__name__ = work.__qualname__ = PASSWORD
    work.__module__ = TOKEN
    work(PASSWORD)


def case_dynamic_type(): raise type(PASSWORD, (AppError,), {"__module__": __name__})(TOKEN)
def case_dynamic_type_of_a_library(): raise type("Error", (Exception,), {"__module__": TOKEN})(1)
def case_dynamic_type_of_the_standard_library():
    raise type(PASSWORD, (ValueError,), {"__module__": "json.decoder"})(1)


def case_renamed_type():
    class LocalError(AppError):
        pass

    LocalError.__qualname__ = LocalError.__name__ = PASSWORD
    raise LocalError(TOKEN)


def case_type_in_a_function():
    zq7_error = type("zq7Error", (AppError,), {"__qualname__": f"case.<locals>.{TOKEN}"})
    raise zq7_error(PASSWORD)


def case_executed_text(): exec(f"def zq7_rule():\\n    raise ValueError({PASSWORD!r})\\nzq7_rule()")
def case_executed_here():
    exec("def zq7_rule():\\n    raise ValueError('zq7')\\nzq7_rule()", globals())
def case_evaluated_text(): eval(f"int({PASSWORD!r})")


def case_compiled_for_a_path():
    code = "def zq7_rule(name):\\n    return int(name)\\nzq7_rule('zq7')\\n"
    exec(compile(code, f"{HOME}/zq7/examplemail/zq7.py", "exec"), globals())


def case_syntax():
    compile(f"password = {PASSWORD!r} {TOKEN!r} oops(", f"{HOME}/secrets.py", "exec")


def case_script_of_the_user(): helpers.run_script("print(int('zq7'))", "zq7_divorce.py")
def case_plug_in_of_the_user(): helpers.plug_in("examplemail.zq7_divorce", "zq7_divorce.py")
def case_plug_in_in_a_folder_like_ours():
    helpers.plug_in("examplemail.plugins.zq7_divorce", "examplemail/plugins/zq7_divorce.py")
def case_plug_in_by_its_own_name(): helpers.plug_in("zq7_divorce", "zq7_divorce.py")
def case_import_of_nothing(): importlib.import_module("zq7_module")
def case_import_of_a_name(): raise ImportError(PASSWORD, name=TOKEN, path=HOME)
def case_environment():
    os.environ["ZQ7_TOKEN"] = TOKEN
    raise KeyError({**os.environ})
def case_command_line():
    raise AppError([*sys.argv, "--password", PASSWORD])
def case_missing_file(): open(f"{HOME}/{MAIL}.pst")
def case_windows_path(): raise FileNotFoundError(2, "The system cannot find", WINDOWS, 3, TOKEN)
def case_two_paths(): os.rename(f"{HOME}/a", f"{HOME}/b")
def case_pathlib(): pathlib.Path(HOME, "divorce.txt").read_text()
def case_no_permission(): raise PermissionError(13, f"Permission denied: {WINDOWS}", WINDOWS)
def case_system_error_with_text(): raise OSError(f"[Errno 2] {HOME}")


def case_command():  # as where pip is given an index with a password
    subprocess.run(
        [sys.executable, "-c", "import sys; print(sys.argv); sys.exit(3)", PASSWORD, URL],
        check=True, capture_output=True, env={"TOKEN": TOKEN},
    )


def case_configuration_as_key():  # CZ-NIC/envelope 52
    configuration, connections = (("host", HOST), ("password", PASSWORD)), {}
    try:
        raise ValueError("handshake")
    except ValueError:
        del connections[configuration]


def case_header():  # kubernetes-client/python 656
    connection = http.client.HTTPConnection("127.0.0.1", 9)
    connection.putrequest("GET", "/", skip_host=True)
    connection.putheader("Authorization", f"Bearer {TOKEN}\\n")


def case_call_with_a_password(): helpers.authenticate(user=MAIL, password=PASSWORD)  # karaage 292
def case_smtp_answer(): raise smtplib.SMTPAuthenticationError(535, f"{MAIL} {PASSWORD}".encode())
def case_smtp_recipients(): raise smtplib.SMTPRecipientsRefused({MAIL: (550, PASSWORD.encode())})
def case_imap(): raise imaplib.IMAP4.error(f"[AUTHENTICATIONFAILED] {MAIL} {PASSWORD}")
def case_url(): raise urllib.error.HTTPError(URL, 404, PASSWORD, {"Cookie": TOKEN}, io.BytesIO())
def case_port(): urllib.parse.urlsplit(f"http://{MAIL}:{PASSWORD}").port
def case_sql(): sqlite3.connect(":memory:").execute(f"select * from {TOKEN!r} where '{PASSWORD}'")
def case_json(): json.loads('{"password": "zq7-correct-horse"')
def case_pickle(): pickle.loads(f"czq7_module\\n{TOKEN}\\n.".encode())
def case_ini(): configparser.ConfigParser().read_string(f"password {PASSWORD}", HOME)
def case_template(): string.Template("$zq7_password").substitute(token=TOKEN)
def case_unicode(): f"{PASSWORD}\\xe9".encode("latin-1").decode("utf-8")
def case_unicode_made(): raise UnicodeEncodeError(TOKEN, PASSWORD, 0, 1, MAIL)
def case_xml(): xml.etree.ElementTree.fromstring(f"<a password='{PASSWORD}'><b>")
def case_shell_words(): shlex.split(f"login --password '{PASSWORD}")
def case_number(): int(PASSWORD)
def case_format(): f"{PASSWORD:d}"
def case_assertion(): assert PASSWORD == TOKEN, (PASSWORD, TOKEN)
def case_iteration(): next(helpers.stopped(PASSWORD))
def case_unpacking(): first, second = {PASSWORD: 1}
def case_keyword(): helpers.authenticate(**{PASSWORD: TOKEN})
def case_zip(): zipfile.ZipFile(io.BytesIO()).open("x", pwd=PASSWORD.encode())
def case_warning(): raise UserWarning(PASSWORD)


def case_recursion(password=PASSWORD):
    return case_recursion(password + TOKEN[:1])


def case_context_manager():
    @contextmanager
    def account(password):
        try:
            yield password
        finally:
            raise AppError(password)

    with account(PASSWORD), ExitStack() as stack:
        stack.callback(int, TOKEN)


def case_finalizer_text():
    raise AppError("".join(chr(ord(each)) for each in PASSWORD)) from ValueError(URL)


def case_traceback_in_a_message():  # as of a worker process
    raise AppError(f'''
Traceback (most recent call last):
  File "{HOME}/zq7_script.py", line 3, in zq7_function
    login({PASSWORD!r})
  File "{WINDOWS}\\\\examplemail\\\\lib\\\\site-packages\\\\zq7\\\\zq7.py", line 3, in zq7_name
zq7_module.zq7_Error: {TOKEN}
''')
"""
)
HELPERS = """
import importlib.util, runpy, sys, tempfile
from pathlib import Path


def authenticate(user="", password=""):
    raise LookupError(user, password)


def stopped(value):
    raise StopIteration(value)
    yield


def run_script(code, name):
    with tempfile.TemporaryDirectory(prefix="zq7-home-") as folder:
        path = Path(folder, name)
        path.write_text(code)
        runpy.run_path(str(path), run_name="__main__")


def plug_in(name, file):
    # It stays: of a file that is gone nothing would be named anyway.
    path = Path(tempfile.mkdtemp(prefix="zq7-home-", dir=Path(__file__).parents[2]), file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "class zq7Error(Exception):\\n    pass\\n"
        "def zq7_function():\\n    raise zq7Error('zq7')\\n"
        "def run():\\n    zq7_function()\\n"
    )
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    module.run()
"""
FILES = {"examplemail/case.py": CASES, "examplemail/helpers.py": HELPERS}
