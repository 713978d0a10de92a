# The image that the agent works in: lw_coder's own, and what this project needs to build and run its tests.
# It is built in every run, from the files of this repository; what has not changed comes from the cache.

FROM lw_coder_droid:latest

# With ca_bundle set, your certificates take the place of the system's in each step that mounts this secret.
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
    NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt

# Add what your packages need to be compiled: build-essential, python3-dev, lib...-dev
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*

# The environment is in /opt: the worktree is mounted over /workspace, and would hide it there. A Python that uv
# downloads is there too.
ENV UV_PROJECT_ENVIRONMENT=/opt/venv \
    UV_PYTHON_INSTALL_DIR=/opt/python \
    UV_LINK_MODE=copy \
    VIRTUAL_ENV=/opt/venv \
    PATH=/opt/venv/bin:$PATH

RUN --mount=type=secret,id=ca_bundle,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=cache,target=/var/cache/pip \
    python3 -m venv /opt/uv \
    && /opt/uv/bin/pip install --quiet --cache-dir /var/cache/pip uv \
    && ln -s /opt/uv/bin/uv /opt/uv/bin/uvx /usr/local/bin/

# Flags for all calls of uv sync, such as --all-extras.
ARG UV_SYNC_FLAGS="--all-groups"

# The Python that the project asks for: Debian's, if it fits, or else one that uv downloads. If it cannot, Debian's is
# taken all the same. Then what the lock file names, in a layer that stays while these files do not change.
COPY pyproject.toml uv.lock* .python-version* /workspace/
RUN --mount=type=secret,id=ca_bundle,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=cache,target=/var/cache/uv \
    export UV_CACHE_DIR=/var/cache/uv \
    && if ! uv python find --system --quiet && ! uv python install; then export UV_PYTHON=/usr/bin/python3; fi \
    && uv venv --quiet --clear /opt/venv \
    && if [ -f uv.lock ]; then \
        UV_PYTHON=/opt/venv uv sync --quiet --frozen --no-install-local $UV_SYNC_FLAGS; \
    fi \
    && find /opt/venv "$HOME" ! -user "$(stat -c %u "$HOME")" -exec chown -h --reference="$HOME" {} +
ENV UV_PYTHON=/opt/venv

# The project itself, as a link to /workspace. The version numbers stand in for git, which the build does not get.
RUN --mount=type=secret,id=ca_bundle,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=cache,target=/var/cache/uv \
    --mount=type=bind,target=/workspace,rw \
    if [ -f uv.lock ]; then frozen=--frozen; fi; \
    export UV_CACHE_DIR=/var/cache/uv SETUPTOOLS_SCM_PRETEND_VERSION=0.0.0 UV_DYNAMIC_VERSIONING_BYPASS=0.0.0 \
    && uv sync --quiet $frozen $UV_SYNC_FLAGS \
    && find /opt/venv "$HOME" ! -user "$(stat -c %u "$HOME")" -exec chown -h --reference="$HOME" {} +

# In a session, uv run takes what the image has, also without a network; after a change of the dependencies,
# type: uv sync --all-groups
ENV UV_NO_SYNC=1

# Python leaves no bytecode in the worktree.
ENV PYTHONDONTWRITEBYTECODE=1
