#!/bin/sh
# A tour of the gateway's API with curl: every operation once. NODE is its address, TOKEN its token, DIR an empty directory.
set -eu
cd "$DIR"
V="$NODE/vdrive/private"

quiet() { curl --silent --show-error --fail "$@"; }                      # as anybody
node() { quiet --header "Authorization: Bearer $TOKEN" "$@"; }           # with the node's authority
status() { curl --silent --output /dev/null --write-out '%{http_code}' --header "Authorization: Bearer $TOKEN" "$@"; }
json() { python3 -c "import json, sys; print(eval(sys.argv[1], {'it': json.load(sys.stdin)}))" "$1"; }
same() { test "$1" = "$2" || { echo "$1 is not $2" >&2; exit 1; }; }

printf 'a file that is too long to fit into a capability of its own, since those hold fifty-five bytes' > file
seq 1 200000 > large

# files by capability
CAP=$(node -T file "$NODE/uri")
quiet "$NODE/uri/$CAP" | cmp - file
same "$(status -T file "$NODE/uri?convergence=none")" 201
quiet "$NODE/named/$CAP/a%20name.txt" | cmp - file
same "$(quiet --range 2-5 "$NODE/uri/$CAP")" "file"
ETAG=$(quiet --head "$NODE/uri/$CAP" | tr -d '\r' | sed -n 's/^etag: //ip')
same "$(status --header "If-None-Match: $ETAG" "$NODE/uri/$CAP")" 304
quiet --location --get --data-urlencode "uri=$CAP" "$NODE/uri" | cmp - file

# files by path; parents are made
same "$(status -T large "$V/a/b/large")" 201
same "$(status -T large "$V/a/b/large")" 200
same "$(status -T file "$V/a/b/large?replace=false")" 409
node "$V/a/b/large" | cmp - large
same "$(node -X PUT --data-binary "$CAP" "$V/a/linked?t=uri")" "$CAP"
same "$(node "$V/a/linked?t=uri")" "$CAP"
same "$(node -X POST "$V/a?t=uri&name=linked&uri=$CAP")" "$CAP"
same "$(node "$V/a/linked?t=readonly-uri")" "$CAP"
node "$V/a/linked?t=verify-uri" | grep -q '^URI:CHK-Verifier:'
same "$(node "$V/a/linked?t=info" | json 'it["kind"], it["size"]')" "('filenode', $(wc -c < file | tr -d ' '))"
same "$(node "$V/a/linked?t=json" | json 'it[1]["format"]')" CHK

# slots
SLOT=$(node -T file "$V/slot?format=SLOT")
printf 'A FILE' | same "$(node -T - "$V/slot?offset=0")" "$SLOT"
node "$V/slot" | grep -q '^A FILE that'
same "$(status -T large "$NODE/uri/$SLOT")" 200
node "$V/slot" | cmp - large

# directories
D=$(node -X POST "$NODE/uri?t=mkdir")
same "$(node -X POST "$V/made?t=mkdir" | cut -c 1-9)" URI:DIR3:
CHILDREN="{\"one\": [\"filenode\", {\"ro_uri\": \"$CAP\"}]}"
post() { node --header 'Content-Type: application/json' --data-binary "$CHILDREN" "$1"; }
post "$NODE/uri?t=mkdir-with-children" | grep -q '^URI:DIR3:'
post "$NODE/uri?t=mkdir-immutable" | grep -q '^URI:DIR2-'
post "$V/with?t=mkdir-with-children" | grep -q '^URI:DIR3:'
post "$V/frozen?t=mkdir-immutable" | grep -q '^URI:DIR2-'
same "$(post "$NODE/uri/$D?t=set_children")" "$D"
same "$(post "$NODE/uri/$D?t=set-children&replace=true")" "$D"
node -X POST "$NODE/uri/$D?t=rename&from_name=one&to_name=two" > /dev/null
node -X POST "$NODE/uri/$D?t=relink&from_name=two&to_dir=root:private/made&to_name=three" > /dev/null
node "$V/made/three" | cmp - file
same "$(node -X DELETE "$V/made/three")" "$CAP"
node -X POST "$V/a?t=unlink&name=linked" > /dev/null
node -X POST "$V/with?t=delete&name=one&kind=file" > /dev/null
same "$(status "$V/with/one")" 404

# forms and zips
node --form "file=@file;filename=folder/file" --form "file=@large;filename=folder/large" "$V/up?t=upload" > /dev/null
node --form "file=@file" "$NODE/uri?t=upload" | grep -q '^URI:CHK:'
node "$V/up/folder/large" | cmp - large
node --form t=upload --form name=mine --form "file=@file" "$V/up" > /dev/null
node --data t=mkdir --data name=empty "$V/up" > /dev/null
node "$V/up?t=zip" > up.zip
python3 -m zipfile -e up.zip out
cmp out/folder/file file

# trees, at once and as jobs
node "$V?t=stream-manifest" | tail -n 1 | json 'it["stats"]["count-directories"]' | grep -q '^[0-9]'
node "$V?t=deep-stats" | json 'it["count-files"]' > count
node "$V?t=deep-size" | grep -q '^[0-9]'
result() {
    JOB=$(node -X POST "$1" | json 'it["job"]')
    while test "$(node "$NODE/jobs/$JOB" | json 'it["state"]')" = running; do :; done
    node "$NODE/jobs/$JOB" | json "$2"
}
same "$(result "$V?t=start-deep-stats" 'it["result"]["count-files"]')" "$(cat count)"
result "$V?t=start-deep-size" 'it["result"]["size"]' > /dev/null
for KIND in check verify repair deep-check deep-verify deep-repair; do
    same "$(result "$V?t=start-$KIND" 'it["state"]')" done
done
node "$NODE/jobs" | json 'it["jobs"][0]["state"]' > /dev/null
node -X DELETE "$NODE/jobs/$JOB" > /dev/null

# the node
quiet "$NODE/" | grep -q gateway
node "$NODE/?t=json" | json 'it["servers"]' > /dev/null
node "$NODE/status" > /dev/null
node "$NODE/statistics?t=json" | json 'it["transfers"]["upload"]["bytes"] > 0' | grep -q True
node "$NODE/metrics" | tail -n 1 | grep -q '^# EOF'
node "$NODE/storage?t=json" > /dev/null
node "$NODE/storage?t=json&servers=true" > /dev/null
TRANSFER=$(node "$NODE/transfers?t=json" | json 'it["transfers"][0]["id"]')
node "$NODE/transfers/$TRANSFER" | json 'it["timeline"]' > /dev/null
node "$NODE/vdrive?t=json" | json 'it["roots"]["private"]["writable"]' | grep -q True
quiet "$NODE/openapi.json" | json 'it["openapi"]' > /dev/null
URL=$(node -X POST "$NODE/session" | json 'it["url"]')
AT=$(echo "$URL" | cut -d / -f 3)
quiet --cookie-jar jar --resolve "$AT:127.0.0.1" "$URL" > /dev/null
quiet --cookie jar --resolve "$AT:127.0.0.1" "http://$AT/status" > /dev/null
quiet --cookie jar --resolve "$AT:127.0.0.1" -X DELETE --header "Origin: http://$AT" "http://$AT/session" > /dev/null

# what is refused
same "$(curl --silent --output /dev/null --write-out '%{http_code}' -T file "$NODE/uri")" 401
same "$(status "$NODE/uri/$CAP?localfile=/etc/passwd")" 400
same "$(status --header 'Host: evil.example' "$NODE/")" 421
RO=$(node "$V/made?t=readonly-uri")
same "$(status -T file "$NODE/uri/$RO/x")" 403
echo "the tour is over"
