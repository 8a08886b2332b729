#!/bin/sh
# flightlog for shell scripts and git hooks: one function for each verb that a script needs. POSIX sh.
#
#     command -v flightlog.sh >/dev/null 2>&1 || exit 0    # flightlog is not installed: not our concern
#     . flightlog.sh
#     execution=${FLIGHTLOG_EXECUTION_ID:-$(flightlog_current 2>/dev/null)} || exit 0
#     flightlog_log "$execution" --source git "$(git log -1 --format='%h %s')" || :
#
# A function takes what its verb takes (`flightlog VERB --help`), prints what it prints and returns what it
# returns: 0 done or found, 1 an expected no, 2 failure, 3 usage. Without the program it returns 1 and prints
# nothing at all. FLIGHTLOG_BIN names the program by its path or by a name in PATH; the default is flightlog.
#
# Sourcing defines functions and does nothing else. All names begin with flightlog_ or _flightlog; a script
# under `set -e` says what a failure means to it (`|| :` for nothing). The copy in a virtual environment's bin
# is found by `. flightlog.sh` alone, for that folder is in PATH.

# Usage: flightlog_available
# Say by the exit code whether the program is there.
flightlog_available() {
    _flightlog_find
}

# Usage: flightlog_current [DIR] [OPTION...]
# Print the id of the newest active execution of a project: that of DIR, else the one we are in.
flightlog_current() {
    case ${1-} in
        '' | -*) _flightlog current "$@" ;;
        *) _flightlog_of_project "$@" ;;
    esac
}

# Usage: flightlog_phase [EXEC]
flightlog_phase() {
    _flightlog phase "$@"
}

# Usage: flightlog_start [OPTION...] [-- ARG...]
# Start an execution and print its id. `--owner $$` ends it, as lost, with the script that did not finish it.
flightlog_start() {
    _flightlog start "$@"
}

# Usage: flightlog_finish [EXEC] [OPTION...]
flightlog_finish() {
    _flightlog finish "$@"
}

# Usage: flightlog_advance [EXEC] [OPTION...]
# Go on to the next phase and print `from → to`.
flightlog_advance() {
    _flightlog advance "$@"
}

# Usage: flightlog_cancel [EXEC] [--reason TEXT]
flightlog_cancel() {
    _flightlog cancel "$@"
}

# Usage: flightlog_set [EXEC] OPTION...
flightlog_set() {
    _flightlog set "$@"
}

# Usage: flightlog_agent_add [EXEC] [OPTION...]
# Add an agent and print its id.
flightlog_agent_add() {
    _flightlog agent add "$@"
}

# Usage: flightlog_agent_update [EXEC] AGENT OPTION...
flightlog_agent_update() {
    _flightlog agent update "$@"
}

# Usage: flightlog_agent_list [EXEC] [OPTION...]
flightlog_agent_list() {
    _flightlog agent list "$@"
}

# Usage: flightlog_artifact_add [EXEC] PATH [OPTION...]
# Record a file that was written and print the artifact's id.
flightlog_artifact_add() {
    _flightlog artifact add "$@"
}

# Usage: flightlog_artifact_list [EXEC] [OPTION...]
flightlog_artifact_list() {
    _flightlog artifact list "$@"
}

# Usage: flightlog_log [EXEC] MESSAGE [OPTION...]
flightlog_log() {
    _flightlog log "$@"
}

# Usage: flightlog_events [EXEC] [OPTION...]
flightlog_events() {
    _flightlog events "$@"
}

_flightlog() {
    _flightlog_find || return 1
    "$_flightlog_bin" "$@"
}

_flightlog_of_project() {
    _flightlog_project=$1
    shift
    _flightlog current --project "$_flightlog_project" "$@"
}

# Set _flightlog_bin to the program's path, once for each way of asking. Walks PATH by itself: `command -v`
# would need a process to tell where, and would take a function of that name for the program.
_flightlog_find() {
    if [ "${_flightlog_asked-}" = "${FLIGHTLOG_BIN-}:${PATH-}" ] && _flightlog_is_program; then
        return 0
    fi
    _flightlog_asked=${FLIGHTLOG_BIN-}:${PATH-}
    case ${FLIGHTLOG_BIN-} in
        */*)
            _flightlog_bin=$FLIGHTLOG_BIN
            _flightlog_is_program
            return
            ;;
    esac
    _flightlog_rest=${PATH-}:
    while [ -n "$_flightlog_rest" ]; do
        _flightlog_bin=${_flightlog_rest%%:*}
        _flightlog_bin=${_flightlog_bin:-.}/${FLIGHTLOG_BIN:-flightlog}
        _flightlog_rest=${_flightlog_rest#*:}
        if _flightlog_is_program; then
            return 0
        fi
    done
    return 1
}

_flightlog_is_program() {
    [ -f "$_flightlog_bin" ] && [ -x "$_flightlog_bin" ]
}
