#!/bin/sh
# Makes .venv and installs Staytrue into it. `make` runs this; without make, run `sh setup.sh` by hand.
# Needs Python 3.11 or newer with its venv module. PYTHON=/path/to/python3 chooses one.
set -eu
cd "$(dirname "$0")"

say() { printf 'setup: %s\n' "$*" >&2; }
fail() {
    say "$1"
    shift
    for line in "$@"; do printf '       %s\n' "$line" >&2; done
    exit 1
}
new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

python=''
for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    if new_enough "$candidate"; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    fail "no Python 3.11 or newer was found (tried: ${PYTHON:-python3 python3.13 python3.12 python3.11})." \
        "Debian, Ubuntu:  apt-get install python3 python3-venv" \
        "Fedora:          dnf install python3.11" \
        "macOS:           brew install python@3.11" \
        "If it is there under another name:  PYTHON=/path/to/python3 sh setup.sh"
fi
"$python" -c 'import venv, ensurepip' >/dev/null 2>&1 || fail \
    "$(command -v "$python") cannot make virtual environments: its venv module, or pip for it, is missing." \
    "Debian, Ubuntu:  apt-get install python3-venv" \
    "elsewhere:       install a complete Python, or choose one: PYTHON=/path/to/python3 sh setup.sh"

# An environment whose interpreter is gone, or which lacks pip, is made anew.
clear=''
[ ! -e .venv ] || .venv/bin/python -m pip --version >/dev/null 2>&1 || clear=--clear
"$python" -m venv $clear .venv || fail "the virtual environment .venv could not be made; Python's reason stands above."
say "installing what requirements.lock names into .venv; the first time this downloads much"
.venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.lock || fail \
    "the packages could not be installed; pip's reason stands above." \
    "The network, or the disk (about 3 GB, more with PyTorch for GPUs), are the usual ones. Run it again to go on."
rm -rf staytrue/native.*.so build/lib.* build/temp.* # a compilation that fails must not leave the one before
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable . ||
    fail "Staytrue itself could not be installed; pip's reason stands above."
.venv/bin/python -c 'import staytrue.native' 2>/dev/null || {
    say "native/ was not compiled: all works, and small requests of JSON cost about three quarters more. To have it:"
    say "  Debian, Ubuntu:  apt-get install gcc python3-dev;  Fedora:  dnf install gcc python3-devel"
    say "  then             rm .venv/.installed && sh setup.sh"
}
touch .venv/.installed

command -v make >/dev/null 2>&1 || {
    say "done. make is not installed; it only shortens these:"
    say "  the demo   .venv/bin/python -m examples.bikeshare.demo --output demo-output"
    say "  the tests  .venv/bin/python -m pytest"
}
