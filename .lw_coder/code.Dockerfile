# The image in which droid works on lw_coder itself: `uv run pytest` works in it, without a network.
#
# Build secret      ca_bundle: PEM certificates to trust during the build (optional)

FROM lw_coder_droid:latest

RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*

# Neither in /workspace, which is mounted over, nor in the home, where root's files would be in the way.
ENV UV_PROJECT_ENVIRONMENT=/opt/lw_coder \
    UV_PYTHON_DOWNLOADS=never

# uv comes from the package registry, at the version that the tests' constraints name.
COPY tests/constraints.txt /opt/constraints.txt
RUN --mount=type=secret,id=ca_bundle,required=false \
    --mount=type=cache,target=/var/cache/pip \
    if [ -s /run/secrets/ca_bundle ]; then export PIP_CERT=/run/secrets/ca_bundle; fi \
    && python3 -m venv /opt/uv \
    && /opt/uv/bin/pip install --quiet --cache-dir /var/cache/pip --constraint /opt/constraints.txt uv \
    && ln -s /opt/uv/bin/uv /opt/uv/bin/uvx /usr/local/bin/

# No uv.lock is kept, so it is not `uv sync` that brings the dependencies: the constraints pin them.
COPY pyproject.toml /workspace/
RUN --mount=type=secret,id=ca_bundle,required=false \
    --mount=type=cache,target=/var/cache/uv \
    if [ -s /run/secrets/ca_bundle ]; then export SSL_CERT_FILE=/run/secrets/ca_bundle; fi \
    && export UV_CACHE_DIR=/var/cache/uv UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 \
    && uv venv --quiet "$UV_PROJECT_ENVIRONMENT" \
    && uv pip install --quiet --python "$UV_PROJECT_ENVIRONMENT" --constraint /opt/constraints.txt \
        --requirements pyproject.toml --group test hatchling editables \
    && chown --recursive --reference="$HOME" "$UV_PROJECT_ENVIRONMENT"

# The project itself, by a link to where the worktree will be mounted. Its build names more folders and files.
COPY LICENSE README.md /workspace/
COPY src/lw_coder/__init__.py /workspace/src/lw_coder/
RUN mkdir compose docker docs && touch CHANGELOG.md \
    && uv pip install --quiet --offline --no-cache --no-deps --no-build-isolation \
        --python "$UV_PROJECT_ENVIRONMENT" --editable /workspace \
    && find "$UV_PROJECT_ENVIRONMENT" ! -user "$(stat -c %u "$HOME")" -exec chown -h --reference="$HOME" {} +

# What is installed is what there is: a run resolves nothing, and so needs no network and no lock file.
ENV UV_NO_SYNC=1

# The base image has context7 already; were it ever left out there, droid still finds it here.
# As the owner of the home, so that the session can write where droid does.
RUN setpriv --reuid "$(stat -c %u "$HOME")" --regid "$(stat -c %g "$HOME")" --clear-groups sh -c '\
    export FACTORY_AIRGAP_ENABLED=true \
    && { droid mcp list | grep -q context7 \
        || droid mcp add --type http context7 https://mcp.context7.com/mcp; } \
    && droid mcp list | grep -q context7'
