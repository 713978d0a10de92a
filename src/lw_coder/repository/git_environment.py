"""Which of the caller's GIT_* variables our git calls keep. What is in no list here is dropped.

Kept is what says how a person's git reaches, reads and signs: without it a checkout fails or gives other
files. Dropped is what leads git elsewhere, or changes what it prints. The names are those of git(1),
git-config(1), git-lfs-config(5).
"""

from __future__ import annotations

from collections.abc import Mapping

# A variable, or the beginning of several with a star, and why our calls need it.
KEPT: Mapping[str, str] = {
    "GIT_SSH": "a partial clone fetches what a checkout needs",
    "GIT_SSH_COMMAND": "a partial clone fetches what a checkout needs",
    "GIT_SSH_VARIANT": "says what GIT_SSH takes",
    "GIT_ASKPASS": "answers what such a fetch asks for; SSH_ASKPASS is kept like all that is not GIT_*",
    "GIT_PROXY_COMMAND": "the way to the remote",
    "GIT_SSL_*": "certificates of the remote",
    "GIT_HTTP_*": "settings of transfers, as http.* in a configuration",
    "GIT_ALLOW_PROTOCOL": "limits how a fetch may reach out; files are added, which the import needs",
    "GIT_PROTOCOL_FROM_USER": "limits the same",
    "GIT_LFS_*": "GIT_LFS_SKIP_SMUDGE decides what a checkout writes",
    "GIT_CONFIG_GLOBAL": "the person's configuration: identity, filters, line ends",
    "GIT_CONFIG_SYSTEM": "likewise",
    "GIT_CONFIG_NOSYSTEM": "likewise",
    "GIT_CONFIG_COUNT": "settings of the shell, which come after those of files",
    "GIT_CONFIG_KEY_*": "likewise",
    "GIT_CONFIG_VALUE_*": "likewise",
    "GIT_CONFIG_PARAMETERS": "settings of `git -c`, where lw_coder is an alias of git's",
    "GIT_ATTR_NOSYSTEM": "part of what decides which filters a checkout runs",
    "GIT_AUTHOR_NAME": "who commits",
    "GIT_AUTHOR_EMAIL": "who commits",
    "GIT_COMMITTER_NAME": "who commits",
    "GIT_COMMITTER_EMAIL": "who commits",
    "GIT_EXEC_PATH": "where git finds its own programs",
    "GIT_CEILING_DIRECTORIES": "where the search for a repository ends, on a slow disk",
    "GIT_DISCOVERY_ACROSS_FILESYSTEM": "likewise",
}

# Named here so that nobody keeps them by mistake; a name in neither list is dropped as well.
DROPPED: Mapping[str, str] = {
    "GIT_DIR": "another repository; a hook that starts lw_coder has it set",
    "GIT_WORK_TREE": "other files",
    "GIT_COMMON_DIR": "another repository",
    "GIT_INDEX_FILE": "another index; `git commit` sets it for its hooks",
    "GIT_OBJECT_DIRECTORY": "other objects",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES": "objects that a session would not have",
    "GIT_QUARANTINE_PATH": "objects that a receiving git may still refuse",
    "GIT_NAMESPACE": "other refs",
    "GIT_PREFIX": "where an alias was typed",
    "GIT_SHALLOW_FILE": "another end of history",
    "GIT_GRAFT_FILE": "another history",
    "GIT_REPLACE_REF_BASE": "other objects in the place of those that are named",
    "GIT_NO_REPLACE_OBJECTS": "likewise",
    "GIT_ATTR_SOURCE": "attributes of another tree",
    "GIT_DEFAULT_HASH": "changes what our own git folders are made with",
    "GIT_DEFAULT_REF_FORMAT": "likewise",
    "GIT_TEMPLATE_DIR": "likewise",
    "GIT_LITERAL_PATHSPECS": "changes how our arguments are read",
    "GIT_GLOB_PATHSPECS": "likewise",
    "GIT_NOGLOB_PATHSPECS": "likewise",
    "GIT_ICASE_PATHSPECS": "likewise",
    "GIT_EXTERNAL_DIFF": "changes what is printed, and runs a program on an agent's files",
    "GIT_DIFF_OPTS": "changes what is printed",
    "GIT_TRACE": "prints into what is read; trace2.* of a configuration works",
    "GIT_AUTHOR_DATE": "meant for one commit of the person's own",
    "GIT_COMMITTER_DATE": "likewise",
    "GIT_EDITOR": "our calls ask nobody",
    "GIT_PAGER": "likewise",
    "GIT_TERMINAL_PROMPT": "set by our calls: they cannot be answered",
    "GIT_OPTIONAL_LOCKS": "set by our calls: they change no index on the way",
}

_BEGINNINGS = tuple(name.removesuffix("*") for name in KEPT if name.endswith("*"))


def kept_variables(process: Mapping[str, str]) -> dict[str, str]:
    """Return a process's variables, of GIT_* those alone that our git calls keep."""
    kept = {name: value for name, value in process.items() if not name.startswith("GIT_") or _is_kept(name)}
    if "GIT_ALLOW_PROTOCOL" in kept:
        kept["GIT_ALLOW_PROTOCOL"] += ":file"
    return kept


def _is_kept(name: str) -> bool:
    return name in KEPT or name.startswith(_BEGINNINGS)
