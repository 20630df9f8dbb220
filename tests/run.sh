#!/usr/bin/env bash
# Install what the tests need and run all of them: ruff, types, pytest with the browser tests.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ -z "${VIRTUAL_ENV:-}" ]; then
  [ -d .venv ] || "${PYTHON:-python3}" -m venv .venv
  # shellcheck disable=SC1091
  . .venv/bin/activate
fi
# Not compiled ahead: most of what is installed is never imported here.
python -m pip install --quiet --no-compile -r requirements.txt -r tests/requirements.txt

find_chromium() { command -v chromium || command -v chromium-browser || command -v google-chrome || true; }
if [ -z "$(find_chromium)" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null || true
fi
FUSION_LENS_CHROMIUM="$(find_chromium)"
export FUSION_LENS_CHROMIUM
if [ -z "$FUSION_LENS_CHROMIUM" ]; then
  echo "Chromium was not found: the browser tests are skipped (apt-get install chromium)." >&2
  [ "${CI:-}" != true ] || exit 1
fi

# Tests, servers and browsers share the cores: a thread that waits must sleep, not spin.
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false OMP_WAIT_POLICY=PASSIVE
# Workers must name the tests alike, in whatever order a set comes out of its hashes.
export PYTHONHASHSEED=0
ruff check .
ruff format --check .
mypy & # beside the tests, which often wait for a browser
types=$!
pytest -n 2 --dist loadgroup -m "not timed" "$@"
wait "$types"
pytest -m timed "$@"
