# What the two SAM chats share: a stand-in for DynamoDB, the table of the template, and `wiregate dev`. To be sourced by their `run`, with
# `here` set to the folder of the example.
#
#   WIREGATE_PORT=8080       the gateway; its management listener takes the next port
#   DYNAMODB_PORT=8000       the stand-in
#   DYNAMODB_PYTHON=python   a Python with moto[server]; without it one is made in ~/.cache/wiregate
#   CHAT_PROFILE=debug       or release, which takes several times as long to build
#
# Arguments go to `wiregate dev`.

root=$(cd "$here/../.." && pwd)
gateway_port=${WIREGATE_PORT:-8080}
dynamodb_port=${DYNAMODB_PORT:-8000}
profile=${CHAT_PROFILE:-debug}
moto=5.2.5

work=
standin=
gateway=

name=$(basename "$here")
# shellcheck source=processes.sh
source "$root/examples/processes.sh"

# The gateway goes first: it still tells the functions about every socket that it closes, and they write to the table.
finish() {
  local code=$?
  trap - EXIT
  trap '' INT TERM HUP
  stop "$gateway"
  stop "$standin"
  [[ -z $work ]] || rm -rf "$work"
  exit "$code"
}

make_python() {
  local folder=${XDG_CACHE_HOME:-$HOME/.cache}/wiregate/moto-$moto
  python=$folder/bin/python
  [[ ! -e $folder/complete ]] || return 0
  command -v python3 >/dev/null || die 'python3 is not here; the stand-in for DynamoDB needs it.'
  say "Installing moto, a stand-in for DynamoDB, into $folder. This happens once."
  rm -rf "$folder"
  python3 -m venv "$folder"
  "$python" -m pip install --quiet --disable-pip-version-check "moto[server]==$moto" || die 'moto cannot be installed; the reason is above.'
  touch "$folder/complete"
}

check_port WIREGATE_PORT "$gateway_port" 1
check_port DYNAMODB_PORT "$dynamodb_port" 1
check_free WIREGATE_PORT "$gateway_port"
check_free DYNAMODB_PORT "$dynamodb_port"
[[ $profile == debug || $profile == release ]] || die "CHAT_PROFILE must be release or debug, but it is '$profile'."
python=${DYNAMODB_PYTHON:-}
[[ -n $python ]] || make_python
build "$profile"

work=$(mktemp -d "${TMPDIR:-/tmp}/wiregate-$name.XXXXXX")
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

"$python" -m moto.server -H 127.0.0.1 -p "$dynamodb_port" >"$work/stand-in.log" 2>&1 &
standin=$!
await stand-in "$standin" ' \* Running on '

# The functions find it by this variable; nothing in their code knows of it.
export AWS_ENDPOINT_URL_DYNAMODB=http://127.0.0.1:$dynamodb_port
"$python" "$root/examples/create-tables.py" "$here/template.yaml" || die 'The table cannot be created; the reason is above.'

cd "$here"
"$programs/wiregate" dev --port "$gateway_port" "$@" &
gateway=$!
# Ended by a signal, `wait` comes back, and `finish` stops both.
wait "$gateway" && code=0 || code=$?
gateway=
exit "$code"
