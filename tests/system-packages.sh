#!/bin/sh
# Debian's packages that the tests use: a real broker and its clients, curl, a browser, and ISA-L for speed.
set -eu
missing=
command -v mosquitto >/dev/null 2>&1 || test -x /usr/sbin/mosquitto || missing="$missing mosquitto"
command -v mosquitto_sub >/dev/null 2>&1 || missing="$missing mosquitto-clients"
command -v ip >/dev/null 2>&1 || missing="$missing iproute2"
command -v curl >/dev/null 2>&1 || missing="$missing curl"
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
ldconfig -p 2>/dev/null | grep -q 'libisal\.so\.2' || missing="$missing libisal2"
test -z "$missing" && exit 0
if test "$(id -u)" = 0 && command -v apt-get >/dev/null 2>&1; then
    echo "installing$missing"
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >/dev/null 2>&1 ||
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >/dev/null; }
else
    echo "The tests need:$missing" >&2
    echo "Install them (Debian: apt-get install$missing) and run this again." >&2
    exit 1
fi
