#!/usr/bin/env bats
# flightlog.sh in a real git hook, in a repository of its own: with flightlog, and where it is not installed.
#
# shellcheck disable=SC2154  # `run` sets status, output, stderr and lines
bats_require_minimum_version 1.5.0

setup() {
    repository=$(cd "$BATS_TEST_TMPDIR" && pwd -P)/repository
    export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
    export GIT_AUTHOR_NAME=Ada GIT_AUTHOR_EMAIL=ada@example.org
    export GIT_COMMITTER_NAME=Ada GIT_COMMITTER_EMAIL=ada@example.org
    git init --quiet "$repository"
    cp "$BATS_TEST_DIRNAME/post-commit" "$repository/.git/hooks/"
    mkdir "$repository/docs"
    cd "$repository/docs" || return
    printf 'plan\n' >'the plan.md'
    git add .
}

# Commit with a message, in an environment with what else is given: it must work and say nothing.
commit() {
    local message=$1
    shift
    run --separate-stderr env "$@" git commit --quiet --message "$message"
    [ "$status" -eq 0 ] || { echo "exit code $status"; printf '%s\n' "$output" "$stderr"; return 1; }
    [ "$output$stderr" = '' ] || { printf 'not silent:\n%s\n' "$output" "$stderr"; return 1; }
    [ "$(git log -1 --format=%s)" = "$message" ]
}

# Make a folder where git and what else is given are all that there is, for PATH.
bare() {
    mkdir "$BATS_TEST_TMPDIR/bin"
    ln -s "$(command -v git)" "$@" "$BATS_TEST_TMPDIR/bin"
}

@test "a commit and its files are recorded in what is running in that repository" {
    execution=$(flightlog start --project "$repository")
    commit 'write a "plan"'

    run flightlog logs "$execution"
    [[ $output == *"INFO  [git] $(git rev-parse --short HEAD) write a \"plan\""* ]]
    run flightlog artifact list "$execution"
    [[ ${#lines[@]} -eq 1 && $output == *$'\tcommit\t'"$repository/docs/the plan.md" ]]
}

@test "a commit where nothing is running is silent" {
    commit 'nobody watches'
}

@test "a commit where the daemon is away is silent" {
    commit 'no daemon' FLIGHTLOG_RUNTIME_DIR="$BATS_TEST_TMPDIR"
}

@test "a commit where flightlog is not installed is silent" {
    bare
    commit 'no flightlog' PATH="$BATS_TEST_TMPDIR/bin"
}

@test "a commit with the library and without the program is silent" {
    bare "$LIBRARY"
    commit 'no program' PATH="$BATS_TEST_TMPDIR/bin"
}
