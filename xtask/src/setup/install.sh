# Installs the Debian packages given as arguments; run as root by `cargo xtask setup`.
# Starts no service: the tests start their own servers, in namespaces of their own.
set -eu

policy=/usr/sbin/policy-rc.d
kept=$policy.before-allowlist-setup

restore() {
    if [ -e "$kept" ]; then
        mv -f "$kept" "$policy"
    elif grep -qs 'allowlist: cargo xtask setup' "$policy"; then
        rm -f "$policy"
    fi
}

# What a set-up that was killed has left.
restore
trap restore EXIT
trap 'exit 130' HUP INT TERM
if [ -e "$policy" ]; then
    mv "$policy" "$kept"
fi
# It asks whether this set-up still runs, so that even one killed by force blocks no service.
cat >"$policy" <<POLICY
#!/bin/sh
# allowlist: cargo xtask setup
if [ -d /proc/$$ ]; then exit 101; fi
if [ -x $kept ]; then exec $kept "\$@"; fi
exit 0
POLICY
chmod 755 "$policy"

export DEBIAN_FRONTEND=noninteractive
apt() {
    apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "$@"
}
# --no-remove: rather fail than take away what the machine's owner has installed.
if ! apt install --yes --no-install-recommends --no-remove "$@"; then
    # The lists may be older than the archive.
    apt update
    apt install --yes --no-install-recommends --no-remove "$@"
fi

for package; do
    case $package in
    nginx | prometheus | redis-server)
        # Debian enables servers at boot.
        update-rc.d "$package" disable
        ;;
    openssh-server)
        # It was not there before, so nobody comes in by it.
        update-rc.d ssh disable
        ;;
    esac
done
