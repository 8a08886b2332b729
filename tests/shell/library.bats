#!/usr/bin/env bats
# flightlog.sh with a real flightlog and a real daemon, in the shell that $SHELL_UNDER_TEST names. Each script
# runs under `set -eu`, as careful scripts do. test_shell.py starts this and says where everything is.
#
# shellcheck disable=SC2016  # the scripts' own $1 is not ours
# shellcheck disable=SC2086  # $SHELL_UNDER_TEST may be two words, a program and its applet
# shellcheck disable=SC2154  # `run` sets status, output, stderr and lines
bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    project=$BATS_TEST_TMPDIR
    execution=run-$BATS_SUITE_TEST_NUMBER-$$
}

# Run a script, its arguments in $1, $2, ...; the library is found as users find it, by PATH.
script() {
    local text=$1
    shift
    run --separate-stderr $SHELL_UNDER_TEST -euc ". flightlog.sh; $text" script "$@"
}

succeeded() {
    [ "$status" -eq 0 ] || { echo "exit code $status"; printf '%s\n' "$output" "$stderr"; return 1; }
}

is() {
    [ "$1" = "$2" ] || { printf 'expected: %s\nfound:    %s\n' "$2" "$1"; return 1; }
}

silent() {
    is "$output" ''
    is "$stderr" ''
}

@test "a run is recorded from its start to its end" {
    printf 'plan\n' >plan.md
    script '
        flightlog_start --id "$1" --name nightly --goal "two words" --complexity 1 --project "$2"
        flightlog_current "$2"
        flightlog_phase "$1"
        flightlog_log "$1" --level warn "disk is  91 % *full*"
        flightlog_set "$1" --label host=here
        flightlog_artifact_add "$1" plan.md --id plan --type document
        flightlog_artifact_list "$1"
        flightlog_advance "$1"
        flightlog_agent_add "$1" --id worker --name Ada
        flightlog_agent_update "$1" worker --status=completed
        flightlog_agent_list "$1"
        flightlog_finish "$1" --outcome partial
    ' "$execution" "$project"
    succeeded
    is "${lines[0]}" "$execution"
    is "${lines[1]}" "$execution"
    is "${lines[2]}" brainstorm
    is "${lines[3]}" plan
    is "${lines[4]}" "$(printf 'plan\tbrainstorm\tdocument\t%s/plan.md' "$project")"
    is "${lines[5]}" 'brainstorm → planned'
    is "${lines[6]}" worker
    is "${lines[7]}" "$(printf 'worker\tclaude\tcompleted\tAda')"
    is "${#lines[@]}" 8

    run flightlog logs "$execution"
    [[ $output == *"WARN  disk is  91 % *full*"* ]]
    run flightlog inspect "$execution" --json
    [[ $output == *'"status":"partial"'* && $output == *'"host":"here"'* ]]
}

@test "events are listed, and a cancelled execution is over" {
    script '
        flightlog_start --id "$1" --project "$2"
        flightlog_cancel "$1" --reason "not today"
        flightlog_events "$1"
    ' "$execution" "$project"
    succeeded
    [[ $output == *execution.started* ]]
    [[ $output == *"not today"* ]]

    script 'flightlog_cancel "$1"' "$execution"
    is "$status" 1
}

@test "arguments arrive as they are" {
    local message=$'two\nlines, \'quotes\' "and" $HOME * \\ ü'
    script 'flightlog_start --id "$1" >/dev/null; flightlog_log "$1" "$2"' "$execution" "$message"
    succeeded

    run flightlog logs "$execution" --json --level info
    [[ $output == *'two\nlines, '\''quotes'\'' \"and\" $HOME * \\ ü'* ]]
}

@test "the execution can come from the environment" {
    script '
        FLIGHTLOG_EXECUTION_ID=$(flightlog_start --id "$1" --complexity 3)
        export FLIGHTLOG_EXECUTION_ID
        flightlog_phase
        flightlog_log "no id before it"
        flightlog_finish
    ' "$execution"
    succeeded
    is "$output" brainstorm
}

@test "functions return what their verbs return, and leave the errors to be read" {
    script 'flightlog_phase "$1"' "no-$execution"
    is "$status" 1
    is "$output" ''
    [[ $stderr == "flightlog phase: no such execution"* ]]

    script 'flightlog_finish "$1" --outcome splendid' "$execution"
    is "$status" 3

    script 'export FLIGHTLOG_RUNTIME_DIR="$PWD"; flightlog_phase "$1"' "$execution"
    is "$status" 2
}

@test "current looks where it is told to" {
    mkdir other
    script '
        flightlog_start --id "$1" --project "$2" >/dev/null
        flightlog_current "$2/other" 2>/dev/null || echo "none: $?"
        flightlog_current
        flightlog_current --json
    ' "$execution" "$project"
    succeeded
    is "${lines[0]}" 'none: 1'
    is "${lines[1]}" "$execution"
    [[ ${lines[2]} == *'"found":true'* ]]
}

functions='current phase start finish advance cancel set agent_add agent_update agent_list artifact_add
    artifact_list log events available'

@test "without the program every function returns 1 and is silent" {
    for name in $functions; do
            script "PATH=/nonexistent; flightlog_$name some arguments"
        is "$name $status" "$name 1"
        silent
    done
}

@test "available says whether the program is there" {
    script 'flightlog_available && echo yes'
    is "$output" yes
    script 'FLIGHTLOG_BIN=/nonexistent/flightlog; flightlog_available || echo no'
    is "$output" no
    is "$stderr" ''
}

@test "FLIGHTLOG_BIN names the program, by path or by name" {
    ln -s "$(command -v flightlog)" mine
    script 'FLIGHTLOG_BIN=$PWD/mine; flightlog_start --id "$1"' "$execution-path"
    is "$output" "$execution-path"
    script 'PATH=$PATH:$PWD FLIGHTLOG_BIN=mine; flightlog_start --id "$1"' "$execution-name"
    is "$output" "$execution-name"

    printf 'not a program\n' >text
    for wrong in text . nothing; do
        script 'FLIGHTLOG_BIN=$PWD/$1; flightlog_start' "$wrong"
        is "$wrong $status" "$wrong 1"
        silent
    done
}

@test "what was found is forgotten when it is asked for elsewhere" {
    script '
        flightlog_available
        (PATH=/nonexistent; flightlog_available || echo gone)
        (FLIGHTLOG_BIN=/nonexistent/flightlog; flightlog_available || echo gone)
        flightlog_available && echo there
    '
    is "$output" $'gone\ngone\nthere'
}

@test "a function called flightlog is not taken for the program" {
    script '
        flightlog() { echo "the wrong one"; }
        flightlog_start --id "$1"
        PATH=/nonexistent
        flightlog_start || echo "$?"
    ' "$execution"
    is "$output" "$execution"$'\n1'
}

@test "sourcing defines functions and changes nothing else" {
    # What a shell says of itself: options, traps, where it is, the names of its variables (bash: and functions).
    run --separate-stderr $SHELL_UNDER_TEST -euc '
        state() {
            set -o; trap; umask; pwd; echo "$-"
            set | sed -n "s/^\([A-Za-z_][A-Za-z0-9_]*\)\(=.*\| () *\)$/\1/p"
        }
        state >before
        . "$1"
        state >after
        flightlog_available
    ' script "$LIBRARY"
    succeeded
    silent
    run diff before after
    # $_ is the last word of the command before.
    is "$(grep '^[<>]' <<<"$output" | grep -v '^> _\?flightlog\|^[<>] _$')" ''
}

@test "sourcing and looking for the program cost no process" {
    # A shell that may not fork; root may always, so root becomes nobody first.
    local bound=(prlimit --nproc=0:0)
    [ "$(id -u)" -ne 0 ] || bound=(setpriv --reuid=65534 --clear-groups "${bound[@]}")
    # sh, for bash tries again for a quarter of a minute.
    run --separate-stderr "${bound[@]}" sh -c '(:) && echo forked'
    [ "$output" = '' ] || skip "this kernel lets it fork all the same"

    run --separate-stderr "${bound[@]}" env PATH=/nonexistent:/tmp $SHELL_UNDER_TEST -euc '
        . /dev/fd/3; flightlog_available || flightlog_log message || echo "returned $?"
    ' 3<"$LIBRARY"
    is "$output" 'returned 1'
    is "$stderr" ''
}
