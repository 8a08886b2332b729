#!/bin/bash
# Runs a script beside a journald of its own, in a namespace in which /run and the journals are nobody else's.
set -eu
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/log
mkdir -p /run/systemd/journal /run/log/journal
echo 0123456789abcdef0123456789abcdef >/run/machine-id
mount --bind /run/machine-id /etc/machine-id
/lib/systemd/systemd-journald >/dev/null 2>&1 &
journald=$!
trap 'kill $journald' EXIT
for _ in $(seq 200); do
    [ -S /run/systemd/journal/socket ] && break
    read -rt 0.05 <> <(:) || true
done
bash "$1"
