# The image that the agent works in: lw_coder's own, and what this project needs to build and run its tests.
# It is built in every run, from the files of this repository; what has not changed comes from the cache.

# The files that say what to download, and empty sources: what is downloaded stays while these do not change.
FROM lw_coder_droid:latest AS cargo_manifests
RUN --mount=type=bind,target=/source \
    mkdir /manifests \
    && cd /source \
    && find . -name target -prune -o -type f \( -name Cargo.toml -o -name Cargo.lock \) \
        -exec cp --parents -t /manifests {} + \
    && find . -name target -prune -o -type f -name '*.rs' -exec cp --parents -t /manifests {} + \
    && find /manifests -name '*.rs' -exec truncate --size 0 {} +

FROM lw_coder_droid:latest

# With ca_bundle set, your certificates take the place of the system's in each step that mounts this secret.
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
    NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt

# Rust of Debian. For another version, install rustup instead of cargo, and add: rustup default stable
RUN apt-get update \
    && apt-get install -y --no-install-recommends cargo gcc libc6-dev pkg-config \
    && rm -rf /var/lib/apt/lists/*

# The crates are in /opt: the worktree is mounted over /workspace, and would hide them there.
ENV CARGO_HOME=/opt/cargo \
    PATH=/opt/cargo/bin:$PATH
COPY --from=cargo_manifests /manifests /workspace
RUN --mount=type=secret,id=ca_bundle,target=/etc/ssl/certs/ca-certificates.crt \
    mkdir -p /opt/cargo/bin \
    && if [ -f Cargo.toml ]; then CARGO_HTTP_CAINFO="$SSL_CERT_FILE" cargo fetch; fi \
    && find /opt/cargo "$HOME" ! -user "$(stat -c %u "$HOME")" -exec chown -h --reference="$HOME" {} +
