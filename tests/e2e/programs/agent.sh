#!/bin/sh
# Calls a model with curl until it is refused. Writes one JSON object: how many calls were answered, and the error.
answered=0
while [ "$answered" -lt 100 ]; do
    reply=$(curl --silent --show-error --fail-with-body "$OPENAI_BASE_URL/chat/completions" \
        --header "Authorization: Bearer $OPENAI_API_KEY" --header "Content-Type: application/json" \
        --data '{"model": "m", "messages": [{"role": "user", "content": "Say something."}], "max_tokens": 100}' \
        2>/dev/null) || break
    answered=$((answered + 1))
done
printf '{"answered": %s, "reply": %s}\n' "$answered" "$reply"
