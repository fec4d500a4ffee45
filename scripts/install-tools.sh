#!/usr/bin/env bash
# Installs what is missing, from package registries only, and says so. Usage: install-tools.sh build|test|peers
set -euo pipefail
cd "$(dirname "$0")/.."

tools="${QUANTSCOPE_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/quantscope/tools}"
trunk_version=$(sed -n 's/^trunk-version = "\(.*\)"$/\1/p' Trunk.toml)
# wasm-bindgen's command must be of exactly the version of the crate in the lock file.
bindgen_version=$(sed -n '/^name = "wasm-bindgen"$/{n;s/^version = "\(.*\)"$/\1/p}' Cargo.lock)

say() { printf 'setup: %s\n' "$*"; }
stop() { printf 'setup: %s\n' "$*" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }
is() { [ "$("$tools/bin/$1" --version 2>/dev/null)" = "$1 $2" ]; }

# debian WHAT-FOR PACKAGE...: installs on Debian as root, says elsewhere what to install.
debian() {
  local reason=$1
  shift
  if [ "$(id -u)" -ne 0 ] || ! has apt-get; then
    stop "$reason: please install $* (on Debian: sudo apt-get install $*)"
  fi
  say "installing Debian packages: $* ($reason; about a minute)"
  local apt=(apt-get -qq -o DPkg::Lock::Timeout=600)
  "${apt[@]}" update
  DEBIAN_FRONTEND=noninteractive "${apt[@]}" install -y --no-install-recommends "$@" >/dev/null
}

# crate NAME VERSION HOW-LONG OPTION...
crate() {
  local name=$1 version=$2 long=$3
  shift 3
  is "${name%-cli}" "$version" && return
  say "building $name $version (once for all clones, $long on two cores)"
  # As released these spend most of their build in optimizing themselves; what they do takes a second either way. One
  # target folder for all of them, so that what they share is compiled once.
  CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=1 \
    CARGO_TARGET_DIR="$tools/build" cargo install --quiet --root "$tools" --version "$version" --force "$@" "$name"
}

for_build() {
  has cargo || stop "no cargo: install Rust with rustup"
  has node || stop "no node: install Node.js 20.14 or later"
  has cc || debian "a C compiler links build scripts" gcc libc6-dev
  if [ ! -d "$(rustc --print sysroot)/lib/rustlib/wasm32-unknown-unknown" ]; then
    has rustup || stop "no wasm32-unknown-unknown target, and no rustup to add it with"
    say "adding Rust's wasm32-unknown-unknown target (seconds)"
    rustup --quiet target add wasm32-unknown-unknown
  fi
  mkdir -p "$tools"
  # Two clones must not build the same tool at once.
  if has flock; then
    exec 9>"$tools/lock"
    flock 9
  fi
  # Without --locked: the lock file inside this release names a crate version that has been withdrawn.
  crate wasm-bindgen-cli "$bindgen_version" "one to two minutes"
  # Without TLS: it is only used offline.
  crate trunk "$trunk_version" "three to four minutes" --locked --no-default-features
  rm -rf "$tools/build"
  cargo fetch --quiet --locked
}

for_test() {
  local component missing=()
  for component in rustfmt clippy; do
    has "cargo-${component/rustfmt/fmt}" || missing+=("$component")
  done
  if [ ${#missing[@]} -gt 0 ]; then
    say "adding Rust components: ${missing[*]} (seconds)"
    rustup --quiet component add "${missing[@]}"
  fi
  if ! { [ -n "${CHROMIUM:-}" ] || has chromium; } || ! { [ -n "${CHROMEDRIVER:-}" ] || has chromedriver; }; then
    debian "a browser and its driver for the tests" chromium chromium-driver
  fi
  if ! cmp -s package-lock.json node_modules/.quantscope-lock; then
    say "installing npm packages (seconds)"
    npm ci --silent
    cp package-lock.json node_modules/.quantscope-lock
  fi
  python onnxruntime tests/requirements.txt "once for all clones, half a minute" \
    || say "tests that ask ONNX Runtime itself will be skipped; its recorded answers are compared all the same"
}

# python NAME REQUIREMENTS HOW-LONG: an environment of its own, made anew when the requirements change; fails where there
# is no Python that can make one, or no registry.
python() {
  local folder="$tools/$1" wanted=$2 long=$3 log="$tools/$1.log"
  cmp -s "$wanted" "$folder/.quantscope-requirements" && return
  say "installing Python packages: $(sed -n 's/^\([^#=]*\)==.*/\1/p' "$wanted" | tr '\n' ' ')($long)"
  rm -rf "$folder"
  # Debian has the part of Python that makes environments in a package of its own.
  if has python3 && has apt-get && [ "$(id -u)" -eq 0 ] && ! python3 -c 'import ensurepip' 2>/dev/null; then
    debian "Python environments" python3-venv
  fi
  if has python3 && python3 -m venv "$folder" >"$log" 2>&1 \
    && "$folder/bin/python" -m pip install --quiet --disable-pip-version-check -r "$wanted" >>"$log" 2>&1; then
    cp "$wanted" "$folder/.quantscope-requirements"
  else
    rm -rf "$folder"
    say "no Python environment: $(tail -n 1 "$log" 2>/dev/null || echo "no python3")"
    return 1
  fi
}

for_peers() {
  python torch tests/requirements-torch.txt "gigabytes, some minutes"
  python keras tools/fixtures/requirements-keras.txt "about a gigabyte, a minute or two"
}

case "${1:-}" in
  build) for_build ;;
  test) for_build && for_test ;;
  peers) for_build && for_test && for_peers ;;
  *) stop "usage: $0 build|test|peers" ;;
esac
