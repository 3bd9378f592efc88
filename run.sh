#!/usr/bin/env bash
# ./run.sh [--port N] [--host ADDRESS] [--no-demo]   install what is missing, then start everything
# ./run.sh test [pytest arguments]  install what is missing, then run the tests
set -euo pipefail

here=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
cd -- "$here"
unset PYTHONHOME PYTHONPATH

say() { printf '%s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

find_python() {
  local name
  for name in python3 python3.13 python3.12 python3.11; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$name"
      return
    fi
  done
  fail "Python 3.11 or newer is needed and 'python3' is $(python3 --version 2>/dev/null || echo missing):" \
    "install it (Debian 12 and Ubuntu 24.04: apt install python3 python3-venv) and run this again."
}

claim_venv() {
  if ! mkdir -p .venv 2>/dev/null || ! { : >.venv/.installing; } 2>/dev/null; then
    fail "The folder $here cannot be written: change its owner, or copy it to a folder of your own."
  fi
}

make_venv() {
  local python package
  python=$(find_python)
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    case ${python##*/} in python3) package=python3-venv ;; *) package=${python##*/}-venv ;; esac
    fail "Python's venv module is missing: run 'apt install $package' as root, then this again."
  fi
  claim_venv
  say "Making .venv with $("$python" --version) …"
  # Piece by piece, because .installing must stay until all is done.
  rm -rf .venv/bin .venv/include .venv/lib .venv/lib64 .venv/share .venv/pyvenv.cfg .venv/.installed .venv/.tests-installed
  "$python" -m venv .venv >/dev/null || fail "'$python -m venv .venv' failed: remove .venv and run this again."
}

venv_is_usable() {
  .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null &&
    { .venv/bin/python -m pip --version || .venv/bin/python -m ensurepip; } >/dev/null 2>&1
}

# What an installation is made from, word for word; kept beside it, so that a second start only compares.
recipe() {
  .venv/bin/python --version
  cat -- "$@"
}

# install STAMP FILE…: .venv holds what the requirement files say once STAMP is their recipe.
install() {
  local stamp=.venv/$1 file arguments=()
  shift
  if [ ! -e .venv/.installing ] && recipe "$@" 2>/dev/null | cmp -s - "$stamp"; then
    return
  fi
  for file in "$@"; do
    [ -r "$file" ] || fail "The file $file is missing: get the complete project."
    arguments+=(-r "$file")
  done
  # An interrupted installation may have left half a package behind: then start over.
  if [ -e .venv/.installing ] || ! venv_is_usable; then
    make_venv
  fi
  claim_venv
  say "Installing the packages of $* (a minute or two, only once) …"
  if ! PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0 .venv/bin/python -m pip install --quiet --no-input \
    --disable-pip-version-check "${arguments[@]}" >.venv/pip.log 2>&1; then
    tail -n 15 .venv/pip.log >&2
    fail "The packages could not be installed: check the network (and PIP_INDEX_URL, if a proxy is needed)," \
      "then run this again."
  fi
  recipe "$@" >"$stamp"
  rm -f .venv/.installing
}

if [ "${1-}" = test ]; then
  shift
  install .tests-installed requirements.txt tests/requirements.txt
  exec .venv/bin/python -m tests.run "$@"
fi
install .installed requirements.txt
exec .venv/bin/python manage.py start "$@"
