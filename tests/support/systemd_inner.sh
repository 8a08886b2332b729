#!/bin/bash
# Runs a real systemd as PID 1 of the namespaces that this is started in (see test_systemd.py), with the project's
# units, and a driver as its last service. Everything that is mounted here is seen in here alone.
set -eu
work=$1 base=$2 program=$3 source=$4 packages=$5

mount --make-rprivate /
mount -t proc proc /proc
mount --bind "$base" /mnt
mount -t tmpfs tmpfs /opt
mkdir -p /opt/python /opt/source /opt/packages /opt/flightlog/bin /opt/results
mount --move /mnt /opt/python
mount --bind "$source" /opt/source
mount --bind "$packages" /opt/packages
mount --bind "$work" /opt/results
for folder in /run /etc/systemd/system /var/lib /var/cache; do mount -t tmpfs tmpfs "$folder"; done
umount -R /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 none /sys/fs/cgroup

path=/opt/source/daemon:/opt/source/client:/opt/source/schemas:/opt/packages
for name in flightlogd flightlog; do
    printf '#!/bin/sh\nLD_LIBRARY_PATH=/opt/python/lib PYTHONPATH=%s exec /opt/python/bin/%s -P -m %s "$@"\n' "$path" "$program" "$name" \
        >/opt/flightlog/bin/$name
    chmod 755 /opt/flightlog/bin/$name
done

# The users of flightlog.sysusers, without touching the machine's.
for file in passwd group; do cp /etc/$file "/run/$file"; done
printf 'flightlog:x:64998:64998::/var/lib/flightlog:/bin/sh\n' >>/run/passwd
printf 'flightlog:x:64998:\nflightlog-write:x:64997:\nflightlog-read:x:64996:\n' >>/run/group
for file in passwd group; do mount --bind "/run/$file" /etc/$file; done

units=/etc/systemd/system
cp /opt/source/systemd/*.service /opt/source/systemd/*.socket $units/
mkdir $units/flightlogd.service.d
# No configuration file on this machine; a watchdog that is worth waiting for.
printf '[Service]\nExecStart=\nExecStart=/opt/flightlog/bin/flightlogd\nWatchdogSec=2\nStandardError=append:/opt/results/daemon.log\n' \
    >$units/flightlogd.service.d/test.conf
cat >$units/driver.service <<'UNIT'
[Unit]
DefaultDependencies=no
After=flightlogd-ingest.socket flightlogd-query.socket flightlogd-control.socket
[Service]
Type=oneshot
TimeoutStartSec=100
ExecStart=/opt/results/driver.sh
ExecStopPost=/bin/systemctl --no-block exit 7
StandardOutput=file:/opt/results/driver.log
StandardError=inherit
UNIT
cat >$units/ci.target <<'UNIT'
[Unit]
DefaultDependencies=no
Requires=flightlogd-ingest.socket flightlogd-query.socket flightlogd-control.socket driver.service
UNIT
sed -i '/^\[Unit\]/a DefaultDependencies=no' $units/flightlogd.service $units/*.socket
sed -i '/^\[Install\]/,$d' $units/*.service $units/*.socket
exec env -i container=ci PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --unit=ci.target \
    --log-target=console --show-status=no
