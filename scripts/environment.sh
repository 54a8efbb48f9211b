# Sourced by scripts/mmdl and scripts/test: makes .venv with pinned versions on first use, and again when they change.
# Sets: root (the checkout), python (the environment's interpreter).

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python="$root/.venv/bin/python"

_suitable() { # does this interpreter exist, and is it 3.11 to 3.13?
  command -v "$1" >/dev/null 2>&1 &&
    "$1" -c 'import sys; raise SystemExit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1
}

_find_python() {
  local candidate
  for candidate in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11 python; do
    if _suitable "$candidate"; then
      command -v "$candidate"
      return 0
    fi
  done
  echo "mmdl needs Python 3.11, 3.12 or 3.13, and none is on the PATH" >&2
  echo "  try:   install one (on Debian: apt-get install python3 python3-venv), or PYTHON=/path/to/python $0" >&2
  return 2
}

_enough_disk() { # _enough_disk FOLDER MEGABYTES WHAT [ELSE]: refused before an installation would fill the disk
  local free
  free=$(($(df -Pk "$1" | awk 'NR == 2 { print $4 }') / 1000))
  [ "$free" -ge "$2" ] && return 0
  echo "not enough disk for $3: $free MB free in $1, about $2 MB needed" >&2
  echo "  try:   make room there${4:+, or $4}, and run this again; what is installed already is kept" >&2
  return 2
}

ensure_environment() { # ensure_environment EXTRAS: '' or '[dev]'
  local extras=$1 wanted stamp found
  stamp="$root/.venv/.mmdl${extras}"
  wanted=$(cat "$root/pyproject.toml" "$root/scripts/constraints.txt" | cksum)
  [ -x "$python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && return 0
  # One set-up at a time: two first commands may start together.
  exec 9>"$root/.venv.lock"
  command -v flock >/dev/null 2>&1 && flock 9
  [ -x "$python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && return 0
  if ! _suitable "$python"; then
    # The wheels of torch on Linux bring those of CUDA with them; pip unpacks the largest one in the temporary folder.
    if [ "$(uname -s)" = Linux ]; then _enough_disk "$root" 9000 "the environment" || return 2; fi
    _enough_disk "${TMPDIR:-/tmp}" 1500 "unpacking" "name another folder with TMPDIR=..." || return 2
    found=$(_find_python) || return 2
    echo "making $root/.venv with $("$found" --version) ..." >&2
    "$found" -m venv --clear "$root/.venv" || {
      echo "  try:   apt-get install python3-venv" >&2
      return 2
    }
  fi
  echo "installing mmdl and what it needs from pinned versions (some minutes, about 7 GB on Linux) ..." >&2
  "$python" -m pip install --quiet --disable-pip-version-check --constraint "$root/scripts/constraints.txt" \
    --editable "$root$extras" || {
    echo "the installation failed; it goes on from where it stopped when you run this again" >&2
    return 2
  }
  printf '%s' "$wanted" >"$stamp"
  exec 9>&-
}
