#!/bin/sh
# Makes the virtual environment named by $1 and installs Penstock into it for development, at the
# versions of constraints.txt. Needs Python 3.11 or later with pip, and nothing else.
set -eu

venv=$1
recent_enough='import sys; sys.exit(sys.version_info < (3, 11))'

find_python() {
    for candidate in "${PYTHON:-}" python3.11 python3 python3.12 python3.13; do
        if [ -n "$candidate" ] && "$candidate" -c "$recent_enough" 2>/dev/null; then
            echo "$candidate"
            return
        fi
        if [ -n "$candidate" ] && [ "$candidate" = "${PYTHON:-}" ]; then
            echo "PYTHON=$candidate does not run or is older than Python 3.11." >&2
            exit 1
        fi
    done
    echo "Penstock needs Python 3.11 or later and found none on the PATH." >&2
    echo "Install one, or name it: make setup PYTHON=/path/to/python3.11" >&2
    exit 1
}

if ! "$venv/bin/python" -c "$recent_enough; import pip" 2>/dev/null; then
    python=$(find_python)
    echo "Setting up $venv with $("$python" --version) (about a minute the first time) ..."
    # Some distributions ship venv without ensurepip; their own pip can then furnish the environment.
    if ! "$python" -m venv --clear "$venv" >/dev/null 2>&1; then
        "$python" -m venv --clear --without-pip "$venv"
        "$python" -m pip --python "$venv/bin/python" install -qq pip
    fi
else
    echo "Bringing $venv up to date ..."
fi

# The build backend comes first and from the same pins, so that nothing is built in an environment
# of its own with versions of the day.
"$venv/bin/python" -m pip install -qq -c constraints.txt hatchling editables
"$venv/bin/python" -m pip install -qq -c constraints.txt --no-build-isolation -e '.[dev]'
