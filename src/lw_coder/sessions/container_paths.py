"""The paths of mounts in a session's container."""

WORKSPACE = "/workspace"
HOME = "/home/droiduser"
FACTORY = f"{HOME}/.factory"
MAIN_PROMPT = "/tmp/lw_coder/main_prompt.md"  # noqa: S108 - a path inside the container
OUTPUT = "/output"
# Right below the root, whose entries the session's user can neither rename nor replace.
OVERRIDES = "/droid-overrides.json"
POLICY = "/etc/factory/settings.json"  # where droid looks for managed settings
CA_BUNDLE = "/etc/ssl/lw_coder-ca-bundle.pem"
