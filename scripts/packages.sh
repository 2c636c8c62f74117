#!/usr/bin/env bash
# Installs the system packages that are missing, by apt, and says so in one line.
#
#   scripts/packages.sh setup|test|bench
#
# Without apt, root and sudo it names them in one sentence and exits 1. Services that come with
# a package (tor, nginx, ...) are neither started now nor at the next boot: the tests start their
# own, with their own configuration, on ports of their own.
set -euo pipefail

# program:package; a program that is there, from wherever, needs no package.
SETUP="tor:tor tor-gencert:tor gpg:gnupg gpgv:gpgv"
TEST="nginx:nginx caddy:caddy apache2:apache2 logrotate:logrotate Xvfb:xvfb strace:strace
      curl:curl openssl:openssl zstd:zstd xz:xz-utils bzip2:bzip2 git:git systemd-analyze:systemd objdump:binutils
      promtool:prometheus"
BENCH="goaccess:goaccess wrk:wrk onionbalance:onionbalance debootstrap:debootstrap"
POSTGRES="postgresql"

PATH="$PATH:/usr/sbin:/sbin"
missing=""
need() { case " $missing " in *" $1 "*) ;; *) missing="$missing $1" ;; esac; }

case "${1:-}" in
setup)
    for pair in $SETUP; do command -v "${pair%%:*}" >/dev/null || need "${pair##*:}"; done
    # PYTHON is the one that setup.sh has found, empty where there is none.
    if [ -z "${PYTHON:-}" ]; then
        need python3 && need python3-venv
    elif ! "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null; then
        need "python$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
    fi
    ;;
test|bench)
    [ "$1" = test ] || TEST="$TEST $BENCH"
    for pair in $TEST; do command -v "${pair%%:*}" >/dev/null || need "${pair##*:}"; done
    # Playwright's own Node needs it, and a small system lacks it.
    ldconfig -p | grep -q 'libatomic\.so\.1 ' || need libatomic1
    compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null || need "$POSTGRES"
    # The example application is tried with the Tk of the Python in .venv.
    .venv/bin/python -c 'import tkinter' 2>/dev/null || need python3-tk
    # What PyInstaller freezes takes the shared library of the Python in .venv along.
    library='import PyInstaller.depend.bindepend as b, sys; sys.exit(not b.get_python_library_path())'
    .venv/bin/python -c "$library" >/dev/null 2>&1 ||
        need "libpython$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
    . /etc/os-release 2>/dev/null || ID=unknown
    if [ "$ID" = ubuntu ]; then
        # Ubuntu's chromium and firefox are snaps, which cannot run everywhere: Playwright's
        # own builds take their place.
        command -v chromium >/dev/null || ubuntu_browsers=1
    else
        command -v chromium >/dev/null || need chromium
        command -v firefox-esr >/dev/null || need firefox-esr
    fi
    ;;
*)
    echo "usage: scripts/packages.sh setup|test|bench" >&2
    exit 2
    ;;
esac

root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

if [ -n "$missing" ]; then
    if ! command -v apt-get >/dev/null || { [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; }; then
        echo "Please install these system packages, or let make do it as root or with sudo:$missing" >&2
        exit 1
    fi
    echo "installing system packages:$missing"
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | root tee $policy >/dev/null
        root chmod 755 $policy
        trap 'root rm -f $policy' EXIT
    fi
    log="$(mktemp)"
    if ! { root env DEBIAN_FRONTEND=noninteractive apt-get update -q &&
        root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing; } >"$log" 2>&1 </dev/null; then
        tail -n 20 "$log" >&2
        echo "apt could not install:$missing (the whole log: $log)" >&2
        exit 1
    fi
    rm -f "$log"
    if [ -d /run/systemd/system ]; then
        for unit in tor nginx caddy apache2 postgresql onionbalance prometheus logrotate.timer; do
            case " $missing " in *" ${unit%.timer} "*) root systemctl disable --quiet "$unit" 2>/dev/null || true ;; esac
        done
    fi
fi

if [ -n "${ubuntu_browsers:-}" ] && [ ! -e .venv/.browsers ]; then
    echo "installing Playwright's Chromium and Firefox (Ubuntu has them as snaps only)"
    .venv/bin/python -m playwright install --with-deps chromium firefox && touch .venv/.browsers
fi
