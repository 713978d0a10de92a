#!/bin/sh
# Put Git LFS into a folder of programs, for the torture's repositories, if the machine does not have it.
#
# Debian's package is unpacked there and not installed: its installation changes git's settings for all
# repositories of the machine. Usage: sh tests/support/ensure_git_lfs.sh FOLDER
set -eu

folder=$1
fail() { printf 'git-lfs: %s\n' "$*" >&2; exit 1; }

command -v git-lfs >/dev/null && exit 0
command -v apt-get >/dev/null || fail "there is no git-lfs: install it, and try again"
unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT
chmod 755 "$unpacked"
printf 'git-lfs: fetching it from this machine'\''s Debian mirror\n' >&2
{ cd "$unpacked" && apt-get download -q git-lfs && dpkg-deb --extract git-lfs_*.deb . ; } >&2 \
    || fail "apt-get could not fetch it; see above"
install -m 755 usr/bin/git-lfs "$folder"
