#!/usr/bin/env bash
# Three machines and a centre, on loopback: what is recorded on each reaches the centre over a cluster of three
# nats-servers, one of which is killed on the way. Everything is kept in a directory of its own that is gone at the end,
# however this ends. Wants flightlog, flightlogd, nats-server and python in PATH: `make demo-fleet` sees to that.
set -euo pipefail
cd "$(dirname "$0")/.."

home=$(mktemp -d /tmp/flightlog-fleet.XXXXXX)  # short, for a socket's path has 107 bytes at most
processes=()

clean_up() {
    trap - EXIT
    trap '' INT TERM HUP
    for process in "${processes[@]}"; do kill "$process" 2>/dev/null || true; done
    for process in "${processes[@]}"; do wait "$process" 2>/dev/null || true; done
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

fail() {
    printf '%s\n' "$1" >&2
    tail -n 5 "$home"/*.log >&2
    exit 2
}

# In a session of its own, so that Ctrl-C reaches nobody before its time.
background() {
    local log=$1
    shift
    setsid "$@" >"$home/$log.out" 2>"$home/$log.log" &
    processes+=($!)
}

# Call a command until it succeeds.
await() {
    local deadline=$((SECONDS + 90))
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$deadline" ] || fail "this took too long: $*"
        read -rt 0.1 <> <(:) || true
    done
}

on() {
    local machine=$1
    shift
    FLIGHTLOG_RUNTIME_DIR="$home/$machine/run" "$@"
}

unset FLIGHTLOG_EXECUTION_ID FLIGHTLOG_TASK TRACEPARENT
export FLIGHTLOG_RUNTIME_DIR="$home/centre/run" FLIGHTLOG_SPOOL_DIR="$home/spool"
machines=(red green blue)

say 'Three nats-servers are a cluster; each message will be on all of them.'
read -ra ports < <(python - <<'PYTHON'
import socket
taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(6)]
print(*(one.getsockname()[1] for one in taken))
PYTHON
)
routes="nats://127.0.0.1:${ports[3]},nats://127.0.0.1:${ports[4]},nats://127.0.0.1:${ports[5]}"
urls=
for number in 1 2 3; do
    port=${ports[number - 1]} urls+="${urls:+,}nats://127.0.0.1:${ports[number - 1]}"
    background "n$number" nats-server -js -a 127.0.0.1 -p "$port" -sd "$home/n$number" -n "n$number" \
        --cluster_name fleet --cluster "nats://127.0.0.1:${ports[number + 2]}" --routes "$routes"
done
printf '%s\n' "$urls"

say 'Three machines and a centre, each with a daemon; a relay on each machine, a collector at the centre.'
for machine in "${machines[@]}" centre; do
    FLIGHTLOG_HOST_NAME=$machine background "$machine" flightlogd --state-dir "$home/$machine/state" --runtime-dir "$home/$machine/run"
done
for machine in "${machines[@]}" centre; do await on "$machine" flightlog status; done
for machine in "${machines[@]}"; do
    printf '%s$ flightlog relay --to %s --replicas 3 &%s\n' "$bold" "$urls" "$plain"
    on "$machine" background "relay-$machine" flightlog relay --to "$urls" --replicas 3
done
printf '%s$ flightlog collect --from %s &%s\n' "$bold" "$urls" "$plain"
background collect flightlog collect --from "$urls"

say 'A page shows the centre, as long as this runs.'
background web flightlog web --port 0
await grep -q http "$home/web.out"
cat "$home/web.out"

record() {
    for machine in "${machines[@]}"; do
        on "$machine" flightlog exec --name "$1-$machine" -- seq "$2" >/dev/null
    done
}

# How many events of others the centre has, and of how many these are all.
count() {
    local all=0 machine
    for machine in "${machines[@]}"; do
        on "$machine" flightlog export -o "$home/$machine.jsonl" --force 2>/dev/null
        all=$((all + $(grep -c '^{"seq"' "$home/$machine.jsonl")))
    done
    flightlog export -o "$home/centre.jsonl" --force 2>/dev/null
    here=$(grep -c '^{"seq"' "$home/centre.jsonl") there=$all
}

all_there() {
    count
    [ "$here" -eq "$there" ]
}

say 'Commands run on all machines, and are recorded there.'
record first 2000
await all_there
show flightlog list

say 'A nats-server is killed, without a word. Commands go on.'
printf '%s$ kill -9 %s%s\n' "$bold" "${processes[1]}" "$plain"
kill -9 "${processes[1]}"
wait "${processes[1]}" 2>/dev/null || true
record second 2000
await all_there
show flightlog list --name second-blue

say 'What the centre has is what the machines have, byte for byte, each event once.'
cmp <(cat "$home"/{red,green,blue}.jsonl | grep '^{"seq"' | sort) <(grep '^{"seq"' "$home/centre.jsonl" | sort) ||
    fail 'The centre has something else.'
printf '%s events on three machines, %s at the centre: the same\n' "$there" "$here"
