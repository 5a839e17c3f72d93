#!/usr/bin/env bash
# Functions as people make them, with the AWS CLI. AWS is the command (words), ENDPOINT the operators' listener, HOME a folder to work in.
set -euo pipefail
: "${AWS:?}" "${ENDPOINT:?}" "${HOME:?}"
cd "$HOME"

# shellcheck disable=SC2086 # AWS is several words.
functions() { $AWS lambda --endpoint-url "$ENDPOINT" --output text "$@"; }

is() { # name, wanted, got
  [[ $3 == "$2" ]] || {
    printf '%s: %q, not %q\n' "$1" "$3" "$2" >&2
    exit 1
  }
}

pack() { # text of index.mjs
  rm -f code.zip
  printf '%s\n' "$1" >index.mjs
  python3 -m zipfile -c code.zip index.mjs
}

pack 'export const handler = async (event) => ({ hello: event.name });'
is create Active "$(functions create-function --function-name cli --runtime nodejs20.x --role arn:aws:iam::000000000000:role/any \
  --handler index.handler --zip-file fileb://code.zip --timeout 20 --query State)"
functions wait function-active-v2 --function-name cli
is invoke 200 "$(functions invoke --function-name cli --payload '{"name": "you"}' out.json --query StatusCode)"
is answer '{"hello":"you"}' "$(<out.json)"
pack 'export const handler = async (event) => ({ bye: event.name });'
functions update-function-code --function-name cli --zip-file fileb://code.zip --publish >/dev/null
functions wait function-updated-v2 --function-name cli
functions create-alias --function-name cli --name live --function-version 1 >/dev/null
functions invoke --function-name cli:live --payload '{"name": "you"}' out.json >/dev/null
is changed '{"bye":"you"}' "$(<out.json)"
is list $'cli\tdeclared' "$(functions list-functions --query 'sort(Functions[].FunctionName)')"
functions add-permission --function-name cli --statement-id s --action lambda:InvokeFunction --principal apigateway.amazonaws.com >/dev/null
functions delete-function --function-name cli
said=$(functions get-function --function-name cli 2>&1 || true)
[[ $said == *'(ResourceNotFoundException)'*'Function not found'* ]] || is gone 'ResourceNotFoundException' "$said"
