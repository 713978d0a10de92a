#!/bin/sh
# Make sure that the tests of shell completion find zsh and fish on this machine, if that is possible.
#
# What is there stays. What is missing is installed, as root on Debian or a derivative. Elsewhere this
# says so, and the tests of a shell that is missing are skipped. Usage: sh tests/support/ensure_shells.sh
set -u

missing=
for shell in zsh fish; do
    command -v "$shell" >/dev/null || missing="$missing $shell"
done
[ -n "$missing" ] || exit 0

skip() { printf 'shells:%s: %s, so their tests are skipped\n' "$missing" "$*" >&2; exit 0; }

command -v apt-get >/dev/null || skip "not installed"
[ "$(id -u)" -eq 0 ] || skip "not installed, and installing them needs root"
export DEBIAN_FRONTEND=noninteractive
printf 'shells: installing%s from this machine'\''s Debian mirror\n' "$missing" >&2
# shellcheck disable=SC2086 # several words
{ apt-get update -q && apt-get install -q -y --no-install-recommends $missing; } >&2 \
    || skip "apt-get could not install them"
