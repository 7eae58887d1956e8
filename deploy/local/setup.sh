#!/bin/sh
# Makes an environment from the hash-checked lists: setup.sh <python> <stamp> <list>…; the stamp lies in its folder.
# Uses uv when it can be had (itself from the checked list), and pip otherwise: uv does not read pip's settings.
set -eu
python=$1 stamp=$2
shift 2
venv=$(dirname "$stamp")
lists=""
for list in "$@"; do lists="$lists -r $list"; done

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "Python 3.11 or later is needed; \`$python\` is $("$python" --version 2>&1 || echo missing)." >&2
    echo "  What to do: install a newer one and name it: make PYTHON=python3.12 ..." >&2
    exit 1
fi
if [ ! -x $venv/bin/python ] || ! $venv/bin/python -c '' 2>/dev/null; then
    echo "making the environment in $venv"
    rm -rf "$venv"
    if ! "$python" -m venv "$venv"; then
        rm -rf "$venv"
        echo "  What to do: \`$python -m venv\` must work; on Debian and Ubuntu: apt install python3-venv" >&2
        exit 1
    fi
fi
pip="$venv/bin/python -m pip install -qq --disable-pip-version-check --no-input --require-hashes"
if [ ! -x $venv/bin/uv ]; then
    # The entry of uv alone: its first line and the indented lines of hashes below it.
    awk '/^uv==/ {on = 1; print; next} on && /^ / {print; next} {on = 0}' requirements-dev.txt > $venv/uv.txt
    $pip -r $venv/uv.txt 2>$venv/uv.log || true
fi
# Word splitting is meant: $lists holds options, $pip a command. Compiled here once: else each of a city's dozen
# programs would do it at its start.
if ! $venv/bin/uv pip install --quiet --compile-bytecode --system-certs --python $venv/bin/python --require-hashes $lists 2>$venv/uv.log; then
    echo "installing the locked packages with pip"
    $pip $lists
fi
touch "$stamp"
