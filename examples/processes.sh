# What the examples' scripts share: starting, watching and stopping the processes of an example. To be sourced; `name` is the example's,
# `work` the folder of its logs.

say() { printf '%s\n' "$*"; }
die() {
  printf '%s: %s\n' "$name" "$*" >&2
  exit 1
}

alive() { [[ -n $1 ]] && kill -0 "$1" 2>/dev/null; }

# Asks a process of ours to end, and insists after ten seconds.
stop() {
  alive "$1" || return 0
  kill -TERM "$1" 2>/dev/null || true
  for ((i = 0; i < 100; i++)); do
    alive "$1" || return 0
    sleep 0.1
  done
  kill -KILL "$1" 2>/dev/null || true
}

check_port() { # name, value, lowest
  [[ $2 =~ ^[0-9]{1,5}$ ]] && (($((10#$2)) >= $3 && $((10#$2)) <= 65535)) || die "$1 must be a port, $3 to 65535, but it is '$2'."
}

check_free() { # name, port
  if (exec 3<>"/dev/tcp/127.0.0.1/$2") 2>/dev/null; then
    die "Port $2 is taken. Stop what uses it, or choose another: $1=$(($2 + 10)) $0"
  fi
}

# Waits for a line that begins with $3 in the output of process $2, called $1.
await() {
  for ((i = 0; i < 300; i++)); do
    grep -q "^$3" "$work/$1.log" 2>/dev/null && return 0
    alive "$2" || fallen "$1"
    sleep 0.1
  done
  fallen "$1" 'did not get ready within 30 seconds'
}

fallen() { # name, what happened
  say "--- the last lines of the $1:" >&2
  tail -n 20 "$work/$1.log" >&2 || true
  die "The $1 ${2:-ended}. Its last lines are above."
}

# Builds the gateway and the examples' programs; `programs` is where they are.
build() { # debug or release
  local command=(cargo build -p wiregate -p examples)
  command -v cargo >/dev/null || die 'cargo is not here. Install Rust from https://rustup.rs, then run this again.'
  [[ $1 == debug ]] || command+=(--release)
  say "Building ($1). The first build takes a few minutes."
  (cd "$root" && "${command[@]}") || die 'The build failed; the reason is above.'
  programs=${CARGO_TARGET_DIR:-$root/target}/$1
  [[ $programs == /* ]] || programs=$root/$programs
}
