#!/bin/sh
# Make sure that the image which docker/droid/Dockerfile starts from is on this machine.
#
# It is pulled where a registry answers, and otherwise made from the Debian mirror that this
# machine uses (as root). Usage: sh docker/droid/import-base.sh
set -eu

readonly IMAGE=debian:trixie-slim
readonly SUITE=trixie

say() { printf 'base: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

# The mirror that serves this machine's own release, which apt knows only after an update.
mirror() {
    apt-get indextargets --format '$(SITE)' 'Created-By: Packages' "Codename: $(. /etc/os-release && echo "$VERSION_CODENAME")" \
        | head -n 1
}

require_root_on_debian() {
    [ "$(id -u)" -eq 0 ] || fail "$IMAGE cannot be pulled, and making it needs root: run 'sudo sh docker/droid/import-base.sh'"
    command -v apt-get >/dev/null || fail "$IMAGE cannot be pulled, and this is not Debian: copy it here with 'docker save' and 'docker load'"
}

install_mmdebstrap() {
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends mmdebstrap
}

make_image() {
    say "no registry gave $IMAGE: making it from this machine's Debian mirror"
    require_root_on_debian
    apt-get update -q >&2
    command -v mmdebstrap >/dev/null || install_mmdebstrap >&2
    rootfs=$(mktemp -d)
    trap 'rm -rf "$rootfs"' EXIT
    mmdebstrap --quiet --variant=minbase --include=ca-certificates "$SUITE" "$rootfs/rootfs.tar" "$(mirror)" >&2
    docker import "$rootfs/rootfs.tar" "$IMAGE" >/dev/null
}

docker image inspect "$IMAGE" >/dev/null 2>&1 && exit 0
docker pull --quiet "$IMAGE" >/dev/null 2>&1 || make_image
say "$IMAGE is here"
