#!/usr/bin/env bash
# Records a real run (of this project's own tests), follows it live, and looks into it afterwards. Everything is
# kept in a directory of its own that is gone at the end, however this ends. Wants flightlog, flightlogd and
# python in PATH: `make demo` sees to that.
set -euo pipefail
cd "$(dirname "$0")/.."

home=$(mktemp -d /tmp/flightlog-demo.XXXXXX)  # short, for a socket's path has 107 bytes at most
daemon=
recorded=

clean_up() {
    trap - EXIT
    trap '' INT TERM HUP
    # What a script has in the background ignores Ctrl-C; exec hands the TERM on to what it records.
    for process in $recorded $daemon; do
        kill "$process" 2>/dev/null && wait "$process" 2>/dev/null || true
    done
    rm -rf "$home"
}
trap clean_up EXIT
trap 'clean_up; exit 130' INT
trap 'clean_up; exit 143' TERM HUP

if [ -t 1 ]; then bold=$'\e[1m' plain=$'\e[0m'; else bold='' plain=''; fi

say() {
    printf '\n%s# %s%s\n' "$bold" "$1" "$plain"
}

show() {
    printf '%s$ %s%s\n' "$bold" "$*" "$plain"
    "$@"
}

unset FLIGHTLOG_EXECUTION_ID TRACEPARENT
export FLIGHTLOG_RUNTIME_DIR="$home/run" FLIGHTLOG_SPOOL_DIR="$home/spool"

say 'A daemon keeps the log; this one only for now, in a directory of its own.'
printf '%s$ %s%s\n' "$bold" "flightlogd --state-dir $home/state --runtime-dir $home/run &" "$plain"
# In a session of its own, so that Ctrl-C does not reach it before what is recorded has said its last word.
setsid flightlogd --state-dir "$home/state" --runtime-dir "$home/run" 2>"$home/daemon.log" &
daemon=$!
until flightlog status >/dev/null 2>&1; do
    kill -0 "$daemon" 2>/dev/null || { cat "$home/daemon.log" >&2; exit 2; }
done

say 'A real command is recorded: some of this project'\''s own tests. exec passes its output on; here nobody looks.'
recording="flightlog exec --name tests -- python -P -m pytest -v -p no:cacheprovider tests/cli -k 'logs or text'"
printf '%s$ %s >/dev/null &%s\n' "$bold" "$recording" "$plain"
eval "exec $recording" >/dev/null &
recorded=$!

say 'Its log is followed while it is written, from another process, until it has ended.'
execution=
until [ -n "$execution" ]; do
    kill -0 "$daemon" 2>/dev/null || { cat "$home/daemon.log" >&2; exit 2; }
    execution=$(flightlog list --name tests -n 1 2>/dev/null | cut -f 1)  # it says so while there is none
done
show flightlog logs --follow "$execution"

code=0
wait "$recorded" || code=$?
recorded=
say "exec exited as its command did: $code. This is what the log holds now, newest first."
show flightlog list

say 'What is known of that run, and its audit trail: who changed what, by the kernel'\''s word.'
show flightlog inspect "$execution" --audit

say 'The last lines of its log, as a person reads them and as a program does.'
show flightlog logs "$execution" -n 3
show flightlog logs "$execution" -n 1 --json

say 'The daemon stops, and everything that this made is removed. Run it again, it leaves nothing behind.'
