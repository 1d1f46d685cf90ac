#!/bin/sh
# Asks for one Anthropic message at the address given, with the key of the environment. Writes the HTTP status.
curl --silent --output /dev/null --write-out '%{http_code}' "$1/v1/messages" \
    --header "x-api-key: $ANTHROPIC_API_KEY" --header "Content-Type: application/json" \
    --data '{"model": "m", "messages": [{"role": "user", "content": "Hi."}], "max_tokens": 10}'
