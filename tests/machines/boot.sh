# Boots a systemd of its own as PID 1 of new namespaces, over a throw-away overlay of /. Run by systemd.py:
#   bash -eu boot.sh BASE CGROUP PROJECT PYTHON   (an empty folder, a cgroup v2 folder that does not exist yet, two folders
#   that the machine sees as /srv/project and /srv/python)
# Says the pid of `unshare`, whose one child is the machine's PID 1, and lives until its standard input ends, which it
# also does when the test run is killed. Then it leaves nothing: no process, no mount, no cgroup folder.
base=$1 cgroup=$2
export base project=$3 python=$4

mkdir "$cgroup"
(
  echo 0 >"$cgroup/cgroup.procs" # the machine's own root of control groups
  # If this script dies, so does the machine.
  exec setpriv --pdeathsig KILL unshare --fork --kill-child --pid --mount --uts --ipc --cgroup bash -euc '
root=$base/root
mount -t tmpfs tmpfs "$base"
mkdir "$base/upper" "$base/work" "$root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$base/upper,workdir=$base/work" "$root"
mount -t tmpfs none "$root/run"
mount -t tmpfs -o mode=1777 none "$root/tmp"
mount -t proc none "$root/proc"
mount -t sysfs none "$root/sys"
mount -t cgroup2 none "$root/sys/fs/cgroup"
# The kernel is shared with the host: its settings and devices are not for a systemd-sysctl or udevd in here.
mount --bind "$root/proc/sys" "$root/proc/sys"
for shared in proc/sys sys; do mount -o remount,bind,ro "$root/$shared"; done
mount -t tmpfs -o mode=755 none "$root/dev"
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t tmpfs -o mode=1777 none "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666 none "$root/dev/pts"
for device in null zero full random urandom tty; do
  touch "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
ln -s /proc/self/fd "$root/dev/fd"
ln -s pts/ptmx "$root/dev/ptmx"
# Under /srv: the tmp folders are emptied at boot, and a home folder may be closed to the users of services.
mkdir "$root/srv/project" "$root/srv/python"
mount --bind "$project" "$root/srv/project"
mount --bind "$python" "$root/srv/python"
for shared in project python; do mount -o remount,bind,ro "$root/srv/$shared"; done
# Units of the host (its data bases, say) have no business in here, nor have journals of its past.
rm -rf "$root"/etc/systemd/system/*.wants "$root/var/log/journal"
for host in systemd-modules-load.service modprobe@.service; do
  ln -sf /dev/null "$root/etc/systemd/system/$host"
done
cd "$root"
pivot_root . mnt
umount -l /mnt
mount --make-rshared / # as systemd has it on a machine of its own: units with mount namespaces need it
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --unit=basic.target
' </dev/null >"$base.log" 2>&1
) &
echo $!

read -r _ || true # the end of the test, or of the whole test run
exec 2>/dev/null # bash would print all of the above as the command that was killed
# PID 1 first, so that unshare takes its exit status and no zombie is left.
kill -KILL $(cat "/proc/$!/task/$!/children") || kill -KILL $! || true
wait $! || true
for _ in $(seq 100); do # the last of the machine's processes may still be on their way out
  find "$cgroup" -depth -type d -exec rmdir {} + && break
  sleep 0.05
done
rm -f "$base.log"
rmdir "$base"
