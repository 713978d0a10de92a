"""Which of the user's GIT_* variables lw_coder's git calls keep. A variable in neither list is dropped.

Variables that say how git connects, reads its configuration and identifies the user are kept: without them, a
checkout can fail or write other files. Variables that redirect git, or change its output, are dropped. The
names are from git(1), git-config(1) and git-lfs-config(5).
"""

from __future__ import annotations

from collections.abc import Mapping

# Names, or prefixes that end with a star, and why the calls need them.
KEPT: Mapping[str, str] = {
    "GIT_SSH": "a partial clone fetches what a checkout needs",
    "GIT_SSH_COMMAND": "a partial clone fetches what a checkout needs",
    "GIT_SSH_VARIANT": "says which options GIT_SSH accepts",
    "GIT_ASKPASS": "answers the questions of such a fetch; SSH_ASKPASS is no GIT_* variable, so it is kept",
    "GIT_PROXY_COMMAND": "how to connect to the remote",
    "GIT_SSL_*": "certificates of the remote",
    "GIT_HTTP_*": "settings of transfers, as http.* in a configuration",
    "GIT_ALLOW_PROTOCOL": "limits the protocols of a fetch; `file` is added, because the import needs it",
    "GIT_PROTOCOL_FROM_USER": "also limits the protocols",
    "GIT_LFS_*": "GIT_LFS_SKIP_SMUDGE decides what a checkout writes",
    "GIT_CONFIG_GLOBAL": "the user's configuration: identity, filters, line endings",
    "GIT_CONFIG_SYSTEM": "as above",
    "GIT_CONFIG_NOSYSTEM": "as above",
    "GIT_CONFIG_COUNT": "settings in the environment, which override those in files",
    "GIT_CONFIG_KEY_*": "as above",
    "GIT_CONFIG_VALUE_*": "as above",
    "GIT_CONFIG_PARAMETERS": "settings of `git -c`, if the user runs lw_coder through a git alias",
    "GIT_ATTR_NOSYSTEM": "decides whether system attributes apply, which can name filters",
    "GIT_AUTHOR_NAME": "who commits",
    "GIT_AUTHOR_EMAIL": "who commits",
    "GIT_COMMITTER_NAME": "who commits",
    "GIT_COMMITTER_EMAIL": "who commits",
    "GIT_EXEC_PATH": "where git finds its own programs",
    "GIT_CEILING_DIRECTORIES": "where git stops searching for a repository, for slow disks",
    "GIT_DISCOVERY_ACROSS_FILESYSTEM": "as above",
}

# Listed so that nobody keeps them by mistake. Names in neither list are dropped too.
DROPPED: Mapping[str, str] = {
    "GIT_DIR": "another repository; a hook that starts lw_coder has it set",
    "GIT_WORK_TREE": "other files",
    "GIT_COMMON_DIR": "another repository",
    "GIT_INDEX_FILE": "another index; `git commit` sets it for its hooks",
    "GIT_OBJECT_DIRECTORY": "other objects",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES": "objects that a session would not have",
    "GIT_QUARANTINE_PATH": "objects that git may still refuse while it receives a push",
    "GIT_NAMESPACE": "other refs",
    "GIT_PREFIX": "the folder in which a git alias was typed",
    "GIT_SHALLOW_FILE": "another shallow boundary",
    "GIT_GRAFT_FILE": "another history",
    "GIT_REPLACE_REF_BASE": "other replacement objects",
    "GIT_NO_REPLACE_OBJECTS": "as above",
    "GIT_ATTR_SOURCE": "attributes of another tree",
    "GIT_DEFAULT_HASH": "changes how lw_coder's own git folders are created",
    "GIT_DEFAULT_REF_FORMAT": "as above",
    "GIT_TEMPLATE_DIR": "as above",
    "GIT_LITERAL_PATHSPECS": "changes how git reads lw_coder's arguments",
    "GIT_GLOB_PATHSPECS": "as above",
    "GIT_NOGLOB_PATHSPECS": "as above",
    "GIT_ICASE_PATHSPECS": "as above",
    "GIT_EXTERNAL_DIFF": "changes the output, and runs a program on the agent's files",
    "GIT_DIFF_OPTS": "changes the output",
    "GIT_TRACE": "prints into the output that lw_coder reads; trace2.* settings work",
    "GIT_AUTHOR_DATE": "meant for one commit of the user",
    "GIT_COMMITTER_DATE": "as above",
    "GIT_EDITOR": "lw_coder's calls never open an editor or a pager",
    "GIT_PAGER": "as above",
    "GIT_TERMINAL_PROMPT": "set by lw_coder: nobody could answer git's questions",
    "GIT_OPTIONAL_LOCKS": "set by lw_coder: its calls must not rewrite the index",
}

_BEGINNINGS = tuple(name.removesuffix("*") for name in KEPT if name.endswith("*"))


def kept_variables(process: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that git gets: all except the GIT_* variables that are dropped."""
    kept = {name: value for name, value in process.items() if not name.startswith("GIT_") or _is_kept(name)}
    if "GIT_ALLOW_PROTOCOL" in kept:
        kept["GIT_ALLOW_PROTOCOL"] += ":file"
    return kept


def _is_kept(name: str) -> bool:
    return name in KEPT or name.startswith(_BEGINNINGS)
