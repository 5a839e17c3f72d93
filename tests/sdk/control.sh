#!/usr/bin/env bash
# The control plane as people type it, with the AWS CLI: each line is a command and what it must print or refuse.
#
#   control.sh make       makes a WebSocket API; the last line it prints is: serving API ENDPOINT STAGE
#   control.sh end API    changes it, looks at what else there is beside it, deletes it
#
# AWS is the command (words), ENDPOINT the operators' listener, BACKEND where messages go.
set -uo pipefail
: "${AWS:?}" "${ENDPOINT:?}" "${BACKEND:?}"

function_arn=arn:aws:lambda:us-east-1:123456789012:function:echo
invoke=arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/$function_arn/invocations
checks=0
wrong=0

# shellcheck disable=SC2086 # AWS is several words.
v2() { $AWS apigatewayv2 --endpoint-url "$ENDPOINT" --output text "$@"; }

complain() {
  wrong=$((wrong + 1))
  printf 'WRONG %s\n' "$*"
}

# is NAME WANTED COMMAND...: it prints exactly that; WANTED may be a pattern of `[[ == ]]`.
is() {
  local name=$1 wanted=$2 got
  shift 2
  checks=$((checks + 1))
  if ! got=$("$@" 2>&1); then
    complain "$name: failed: $got"
  elif [[ $got != $wanted ]]; then
    complain "$name: printed '$got', not '$wanted'"
  fi
}

# works NAME COMMAND...: it succeeds and prints nothing of interest.
works() {
  local name=$1
  shift
  is "$name" '*' "$@"
}

# refused NAME CODE WORDS ARGUMENTS...: `aws apigatewayv2 ARGUMENTS` fails with that code, and says that.
refused() {
  local name=$1 code=$2 words=$3 said
  shift 3
  checks=$((checks + 1))
  if said=$(v2 "$@" 2>&1); then
    complain "$name: was not refused: $said"
  elif [[ $said != *"($code)"*"$words"* ]]; then
    complain "$name: refused with '$said', not ($code) $words"
  fi
}

# keeps VARIABLE PATTERN ARGUMENTS...: prints one word of that form, which the variable has from then on.
keeps() {
  local variable=$1 form=$2 got
  shift 2
  checks=$((checks + 1))
  got=$(v2 "$@" 2>&1) || complain "$*: failed: $got"
  [[ $got =~ ^$form$ ]] || complain "$*: printed '$got', not /$form/"
  printf -v "$variable" %s "$got"
}

finish() {
  printf '%d of %d checks hold\n' $((checks - wrong)) "$checks"
  ((wrong == 0 && checks > 0))
}

make() {
  local id='[a-z0-9]{6,8}' api http lambda mock connect echo push default deployment again
  # shellcheck disable=SC2016 # Expressions of AWS, not of the shell.
  {
    is 'nothing is there at first' '' v2 get-apis --query 'Items[].ApiId'

    keeps api '[a-z0-9]{10}' create-api --name transcript --protocol-type WEBSOCKET \
      --route-selection-expression '$request.body.action' --tags env=test --query ApiId
    is 'what the API is given' $'$request.header.x-api-key\t$request.body.action\tWEBSOCKET\ttest' v2 get-api --api-id "$api" \
      --query '[ApiKeySelectionExpression,RouteSelectionExpression,ProtocolType,Tags.env]'
    is 'it says where clients find it' 'ws://*' v2 get-api --api-id "$api" --query ApiEndpoint
    is 'and when it was made' '20[0-9][0-9]-[01][0-9]-[0-3][0-9]T*' v2 get-api --api-id "$api" --query CreatedDate
    is 'it is listed' "$api" v2 get-apis --query 'Items[].ApiId'
    refused 'a protocol that is none' BadRequestException 'HTTP, WEBSOCKET' create-api --name x --protocol-type FTP
    refused 'an API without an expression' BadRequestException RouteSelectionExpression create-api --name x --protocol-type WEBSOCKET
    refused 'a deployment of nothing' BadRequestException 'At least one route' create-deployment --api-id "$api"
    refused 'an API that is not there' NotFoundException 'Invalid API identifier specified 000000000000:none' get-api --api-id none

    keeps http "$id" create-integration --api-id "$api" --integration-type HTTP_PROXY --integration-method POST \
      --integration-uri "$BACKEND/echo" --timeout-in-millis 5000 \
      --request-parameters integration.request.header.x-mapped=context.connectionId --query IntegrationId
    keeps lambda "$id" create-integration --api-id "$api" --integration-type AWS_PROXY --integration-method POST \
      --integration-uri "$invoke" --query IntegrationId
    keeps mock "$id" create-integration --api-id "$api" --integration-type MOCK --template-selection-expression 200 \
      --passthrough-behavior WHEN_NO_MATCH --request-templates '{"200":"{\"statusCode\":200}"}' --query IntegrationId
    is 'defaults of an integration' $'29000\tINTERNET\tWHEN_NO_MATCH' v2 get-integration --api-id "$api" --integration-id "$lambda" \
      --query '[TimeoutInMillis,ConnectionType,PassthroughBehavior]'
    is 'what was given stays' $'5000\tcontext.connectionId' v2 get-integration --api-id "$api" --integration-id "$http" \
      --query '[TimeoutInMillis,RequestParameters."integration.request.header.x-mapped"]'
    works 'an answer of the mock' v2 create-integration-response --api-id "$api" --integration-id "$mock" \
      --integration-response-key '$default' --template-selection-expression '\$default' \
      --response-templates '{"$default":"{\"pong\":true}"}'
    refused 'a second one' ConflictException 'already exists' create-integration-response --api-id "$api" \
      --integration-id "$mock" --integration-response-key '$default'
    refused 'an integration without a URI' BadRequestException IntegrationUri create-integration --api-id "$api" \
      --integration-type HTTP_PROXY --integration-method POST
    refused 'one that takes too long' BadRequestException 29000 create-integration --api-id "$api" \
      --integration-type MOCK --timeout-in-millis 29500

    keeps connect "$id" create-route --api-id "$api" --route-key '$connect' --authorization-type NONE \
      --target "integrations/$http" --query RouteId
    keeps echo "$id" create-route --api-id "$api" --route-key echo --target "integrations/$http" \
      --route-response-selection-expression '$default' --query RouteId
    keeps push "$id" create-route --api-id "$api" --route-key sendmessage --target "integrations/$http" --query RouteId
    keeps default "$id" create-route --api-id "$api" --route-key '$default' --target "integrations/$mock" \
      --route-response-selection-expression '$default' --query RouteId
    is 'defaults of a route' $'NONE\tFalse' v2 get-route --api-id "$api" --route-id "$push" \
      --query '[AuthorizationType,ApiKeyRequired]'
    refused 'the same key again' ConflictException 'Route with key sendmessage already exists' create-route --api-id "$api" --route-key sendmessage
    refused 'a target that is not there' BadRequestException 'Invalid Integration' create-route --api-id "$api" --route-key x --target integrations/none
    refused 'an integration in use' ConflictException "referenced by the following Routes with Ids" delete-integration --api-id "$api" --integration-id "$http"
    refused 'a route that is not there' NotFoundException nosuch1 get-route --api-id "$api" --route-id nosuch1
    local route
    for route in "$echo" "$default"; do
      works 'a route that answers' v2 create-route-response --api-id "$api" --route-id "$route" --route-response-key '$default'
    done
    refused 'a key of a response' BadRequestException '$default' create-route-response --api-id "$api" --route-id "$echo" --route-response-key other
    is 'pages are put together' 4 count v2 get-routes --api-id "$api" --page-size 3 --query 'Items[].RouteId'
    is 'a page alone is short' 2 count v2 get-routes --api-id "$api" --max-results 2 --no-paginate --query 'Items[].RouteId'
    refused 'a page of nothing' BadRequestException maxResults get-routes --api-id "$api" --max-results x

    keeps deployment "$id" create-deployment --api-id "$api" --description first --query DeploymentId
    is 'it is deployed' $'DEPLOYED\tFalse\tfirst' v2 get-deployment --api-id "$api" --deployment-id "$deployment" \
      --query '[DeploymentStatus,AutoDeployed,Description]'
    works 'a stage' v2 create-stage --api-id "$api" --stage-name prod --deployment-id "$deployment" --stage-variables a=1,b=2 \
      --default-route-settings 'ThrottlingBurstLimit=500,ThrottlingRateLimit=1000.5'
    refused 'a stage of that name' ConflictException 'Stage already exists' create-stage --api-id "$api" --stage-name prod
    refused 'a deployment that is not there' NotFoundException none12 create-stage --api-id "$api" --stage-name y --deployment-id none12
    is 'settings of a stage' $'False\tFalse\tOFF\t500\t1000.5' v2 get-stage --api-id "$api" --stage-name prod --query \
      'DefaultRouteSettings.[DataTraceEnabled,DetailedMetricsEnabled,LoggingLevel,ThrottlingBurstLimit,ThrottlingRateLimit]'
    works 'variables are merged' v2 update-stage --api-id "$api" --stage-name prod --stage-variables '{"b":"","c":"3"}'
    is 'an empty one is gone' $'1\tNone\t3' v2 get-stage --api-id "$api" --stage-name prod --query 'StageVariables.[a,b,c]'
    refused 'a deployment in use' BadRequestException 'Active stages' delete-deployment --api-id "$api" --deployment-id "$deployment"
    keeps again "$id" create-deployment --api-id "$api" --stage-name prod --query DeploymentId
    is 'the stage follows' "$again" v2 get-stage --api-id "$api" --stage-name prod --query DeploymentId
    works 'the old one may go' v2 delete-deployment --api-id "$api" --deployment-id "$deployment"
    refused 'a stage that is not there' NotFoundException nosuch create-deployment --api-id "$api" --stage-name nosuch
    works 'a stage that deploys itself' v2 create-stage --api-id "$api" --stage-name auto --auto-deploy
    refused 'which nobody points elsewhere' BadRequestException 'AutoDeploy is enabled' update-stage --api-id "$api" --stage-name auto --deployment-id "$again"
    is 'it has one of its own' $'True\tSuccessfully deployed stage with deployment ID*' v2 get-stage --api-id "$api" \
      --stage-name auto --query '[AutoDeploy,LastDeploymentStatusMessage]'
  }
  finish || exit 1
  printf 'serving %s %s prod\n' "$api" "$(v2 get-api --api-id "$api" --query ApiEndpoint)"
}

# count COMMAND...: how many words it prints.
count() { "$@" | wc -w | tr -d ' '; }

end() {
  local api=$1 id='[a-z0-9]{6,10}' send model authorizer mapping link http cors arn=arn:aws:apigateway:us-east-1::
  # shellcheck disable=SC2016
  {
    keeps send "$id" get-routes --api-id "$api" --query "Items[?RouteKey=='sendmessage']|[0].RouteId"
    is 'a change keeps the rest' $'sendmessage\tSend' v2 update-route --api-id "$api" --route-id "$send" --operation-name Send \
      --query '[RouteKey,OperationName]'
    is 'an empty text clears' None v2 update-route --api-id "$api" --route-id "$send" --operation-name '' --query OperationName
    works 'tags of the API' v2 tag-resource --resource-arn "$arn/apis/$api" --tags team=core,x=y
    works 'without one' v2 untag-resource --resource-arn "$arn/apis/$api" --tag-keys x env
    is 'what is left of them' $'core\tNone\tNone' v2 get-tags --resource-arn "$arn/apis/$api" --query 'Tags.[team,x,env]'
    works 'tags of a stage' v2 tag-resource --resource-arn "$arn/apis/$api/stages/prod" --tags 'owner=me'
    is 'which the stage shows' me v2 get-stage --api-id "$api" --stage-name prod --query Tags.owner

    works 'settings of one route' v2 update-stage --api-id "$api" --stage-name prod --route-settings '{"$default":{"ThrottlingRateLimit":5}}'
    is 'they are there' 5.0 v2 get-stage --api-id "$api" --stage-name prod --query 'RouteSettings."$default".ThrottlingRateLimit'
    works 'and go by their key' v2 delete-route-settings --api-id "$api" --stage-name prod --route-key '$default'
    refused 'once' NotFoundException routeSettings delete-route-settings --api-id "$api" --stage-name prod --route-key '$default'
    works 'an access log' v2 update-stage --api-id "$api" --stage-name prod \
      --access-log-settings 'DestinationArn=arn:aws:logs:us-east-1:123456789012:log-group:x,Format=$context.requestId'
    works 'which goes' v2 delete-access-log-settings --api-id "$api" --stage-name prod
    is 'entirely' None v2 get-stage --api-id "$api" --stage-name prod --query AccessLogSettings
    works 'authorizers forget' v2 reset-authorizers-cache --api-id "$api" --stage-name prod

    keeps model "$id" create-model --api-id "$api" --name Message --content-type application/json \
      --schema '{"type":"object","properties":{"action":{"type":"string"}}}' --query ModelId
    is 'a template of it' '*$inputRoot.action*' v2 get-model-template --api-id "$api" --model-id "$model"
    works 'a route asks for it' v2 update-route --api-id "$api" --route-id "$send" --request-models message=Message
    refused 'so it stays' ConflictException "$send" delete-model --api-id "$api" --model-id "$model"
    keeps authorizer "$id" create-authorizer --api-id "$api" --name who --authorizer-type REQUEST --authorizer-uri "$invoke" \
      --identity-source route.request.header.Auth --query AuthorizerId
    refused 'of that name' ConflictException who create-authorizer --api-id "$api" --name who --authorizer-type REQUEST \
      --authorizer-uri "$invoke" --identity-source route.request.header.Auth
    works 'nobody names it' v2 delete-authorizer --api-id "$api" --authorizer-id "$authorizer"

    works 'a domain name' v2 create-domain-name --domain-name ws.example.com --domain-name-configurations \
      'CertificateArn=arn:aws:acm:us-east-1:123456789012:certificate/x,EndpointType=REGIONAL,SecurityPolicy=TLS_1_2'
    is 'it is there' $'AVAILABLE\t$request.basepath' v2 get-domain-name --domain-name ws.example.com \
      --query '[DomainNameConfigurations[0].DomainNameStatus,ApiMappingSelectionExpression]'
    keeps mapping "$id" create-api-mapping --domain-name ws.example.com --api-id "$api" --stage prod --api-mapping-key v1 --query ApiMappingId
    refused 'the same path' ConflictException v1 create-api-mapping --domain-name ws.example.com --api-id "$api" --stage prod --api-mapping-key v1
    refused 'a path of two levels' BadRequestException / create-api-mapping --domain-name ws.example.com --api-id "$api" --stage prod --api-mapping-key a/b
    is 'mappings' "$mapping" v2 get-api-mappings --domain-name ws.example.com --query 'Items[].ApiMappingId'
    keeps link "$id" create-vpc-link --name link --subnet-ids subnet-1 --query VpcLinkId
    is 'a link is ready' AVAILABLE v2 get-vpc-link --vpc-link-id "$link" --query VpcLinkStatus
    works 'and goes' v2 delete-vpc-link --vpc-link-id "$link"

    keeps http "$id" create-api --name quick --protocol-type HTTP --target "$BACKEND/echo" \
      --cors-configuration AllowOrigins=https://a.example,MaxAge=60 --query ApiId
    is 'an HTTP API has its stage at once' $'$default\tTrue\tTrue' v2 get-stages --api-id "$http" --query 'Items[].[StageName,AutoDeploy,ApiGatewayManaged]'
    works 'it loses its CORS' v2 delete-cors-configuration --api-id "$http"
    is 'entirely' None v2 get-api --api-id "$http" --query CorsConfiguration
    refused 'what is not built' BadRequestException ExportApi export-api --api-id "$http" --output-type JSON --specification OAS30 /dev/null
    works 'it goes' v2 delete-api --api-id "$http"

    works 'a stage goes' v2 delete-stage --api-id "$api" --stage-name auto
    works 'the API goes' v2 delete-api --api-id "$api"
    refused 'it is gone' NotFoundException 'Invalid API identifier' get-api --api-id "$api"
    refused 'and with it what was below' NotFoundException 'Invalid API identifier' get-routes --api-id "$api"
    is 'its mappings too' '' v2 get-api-mappings --domain-name ws.example.com --query 'Items[].ApiMappingId'
    works 'the domain name goes' v2 delete-domain-name --domain-name ws.example.com
  }
  finish
}

"$@"
