# Run by root on a Debian with systemd, at each of its starts, from a directory with two packages, the steps of the
# guide and traffic.py. Ends with a line of its own: VM-RESULT.

set -u
exec 2>&1
cd "$(dirname "$0")" || exit 1
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
server=203.0.113.1 alice=203.0.113.7 bob=203.0.113.9
bpffs=/run/allowlistd/bpf
clients=--net=/run/netns/clients

finish() {
    echo "VM-RESULT: $1"
    systemctl --no-block poweroff --force
    exit
}

fail() {
    echo "FAILED: $*"
    systemctl --no-pager status allowlistd.service
    journalctl --no-pager -u allowlistd -n 40
    finish "FAILED"
}

# is DESCRIPTION COMMAND...: it has to succeed.
is() {
    description=$1
    shift
    "$@" >out.log 2>&1 || { cat out.log; fail "$description: $*"; }
    echo "test result: ok. 1 passed; $description"
}

not() {
    ! "$@"
}

as_client() {
    nsenter $clients "$@"
}

served() {
    as_client python3 traffic.py ping "$1" "$server" 6379
}

shut_out() {
    not served "$1"
}

# Whether a file or the output of a command has a line that matches.
says() {
    pattern=$1
    shift
    "$@" 2>&1 | grep -Eq -- "$pattern"
}

# Within half a minute.
soon() {
    for _ in $(seq 30); do
        "$@" && return
        sleep 1
    done
    return 1
}

no_program() {
    not says 'xdp|allowlist' bpftool prog show && not says . sh -c 'bpftool link show | grep xdp'
}

no_pins() {
    not mountpoint -q "$bpffs" && test ! -e /run/allowlistd && test ! -e /run/allowlist
}

exits() {
    expected=$1
    shift
    "$@"
    found=$?
    test "$found" = "$expected" || { echo "ended with $found instead of $expected"; return 1; }
}

clients() {
    ip netns add clients
    ip link set eth1 netns clients
    as_client ip link set lo up
    as_client ip link set eth1 up
    as_client ip address add "$alice/24" dev eth1
    as_client ip address add "$bob/24" dev eth1
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        as_client ip route get "$server" >/dev/null && redis-cli -h "$server" ping >/dev/null && return
        sleep 1
    done
    fail "there is no network"
}

installed() {
    is "alice is served before" served "$alice"
    is "bob is served before" served "$bob"

    # The steps that the guide has, to the letter: the first installs. `check` ends with 10 where somebody is dropped.
    head -n 1 steps >install
    echo 'trap '\''[ "$? ${BASH_COMMAND% *}" = "10 allowlist-ctl check 198.51.100.9" ] || exit 1'\'' ERR' >start
    tail -n +2 steps >>start
    sh -eu install >install.log 2>&1 || { cat install.log; fail "installing"; }
    is "it is said what to do" grep -q 'systemctl enable --now allowlistd' install.log
    is "nothing runs" not systemctl is-active allowlistd.service
    is "nothing will run" not systemctl is-enabled allowlistd.service
    is "no program is loaded" no_program
    is "bob is served by what is only installed" served "$bob"

    bash -u start >start.log 2>&1 || { cat start.log; fail "the steps of the guide"; }
    cat start.log
    is "what was taken back is gone" not says 192.0.2.64 allowlist-ctl list redis
    is "alice is served" served "$alice"
    is "bob is shut out" shut_out "$bob"
    is "bob stays shut out" shut_out "$bob"
}

shut_in() {
    pid=$(systemctl show --property MainPID --value allowlistd.service)
    is "the daemon is not root" says "^Uid:.$(id -u allowlist)\\b" cat "/proc/$pid/status"
    is "it has three capabilities" says '^CapEff:.000000c000001000$' cat "/proc/$pid/status"
    is "it is bound to them" says '^CapBnd:.000000c000001000$' cat "/proc/$pid/status"
    is "system calls are filtered" says '^Seccomp:.2$' cat "/proc/$pid/status"
    is "pins are its own" says allowlist stat --format=%U "$bpffs"
    is "state is its own" says '^allowlist 700$' stat --format='%U %a' /var/lib/allowlist
    is "it is watched" says '^WatchdogUSec=1min$' systemctl show --property WatchdogUSec allowlistd.service
    is "its log has fields" says add journalctl -t allowlistd ALLOWLIST_ACTION=add
    is "nothing is warned of at its start" not says . journalctl -q -p warning -u allowlistd.service

    # redis is another user's: the guard sees its connections all the same.
    nsenter $clients python3 traffic.py hold "$alice" "$server" 6379 &
    holder=$!
    sleep 2
    is "the guard sees connections of other users" exits 5 allowlist-ctl remove trusted "$alice" --yes
    kill "$holder"

    printf '198.51.100.0/24 # a followed file\n' >/etc/allowlist/office.txt
    is "a file is followed" allowlist-ctl group office --follow /etc/allowlist/office.txt
    is "its entries are there" soon says 198.51.100.0/24 allowlist-ctl list office
    printf '192.0.2.0/24\n' >/etc/allowlist/office.txt
    is "and change with it" soon says 192.0.2.0/24 allowlist-ctl list office
}

roles() {
    useradd --groups allowlist vera
    useradd --groups allowlist,allowlist-admin adam
    useradd nora
    is "viewers read" runuser -u vera -- allowlist-ctl status
    is "viewers change nothing" exits 4 runuser -u vera -- allowlist-ctl protect web tcp/80
    is "admins change" runuser -u adam -- allowlist-ctl protect web tcp/80
    is "others do not get in" exits 4 runuser -u nora -- allowlist-ctl status
    is "names complete from the daemon" says redis bash -c '
        . /usr/share/bash-completion/completions/allowlist-ctl
        COMP_WORDS=(allowlist-ctl add re) COMP_CWORD=2
        _clap_complete_allowlist_ctl allowlist-ctl re add
        echo "${COMPREPLY[@]}"'
}

killed() {
    before=$(systemctl show --property MainPID --value allowlistd.service)
    kill -9 "$before"
    is "bob is shut out when the daemon was killed" shut_out "$bob"
    is "it is started again" soon says '"revision"' allowlist-ctl status --json
    is "as another process" not test "$before" = "$(systemctl show --property MainPID --value allowlistd.service)"
    is "the mount is not to be stopped" not systemctl stop run-allowlistd-bpf.mount
    is "the daemon is" systemctl stop allowlistd.service
    is "bob is shut out without a daemon" shut_out "$bob"
    is "alice is not" served "$alice"
    is "the daemon starts again" systemctl start allowlistd.service
}

upgraded() {
    allowlist-ctl protect gap udp/7777 && allowlist-ctl add gap "$alice" || fail "protecting what is under traffic"
    python3 traffic.py receive "$server" 7777 >received &
    receiver=$!
    sleep 1
    nsenter $clients python3 traffic.py send "$alice" "$server" 7777 >sent.alice &
    sender=$!
    nsenter $clients python3 traffic.py send "$bob" "$server" 7777 >sent.bob &
    other=$!
    sleep 3
    is "the next version is installed" apt-get install --yes ./next.deb
    is "its daemon runs" systemctl is-active allowlistd.service
    is "its command line is there" says "$NEXT" allowlist-ctl --version
    is "its daemon answers" says "\"version\":\"$NEXT\"" allowlist-ctl status --json
    sleep 3
    kill "$sender" "$other"
    wait "$sender" "$other"
    sleep 2
    kill "$receiver"
    wait "$receiver"
    echo "sent by alice: $(cat sent.alice); by bob: $(cat sent.bob); received: $(cat received)"
    is "both have sent" test "$(cat sent.alice)" -gt 300 -a "$(cat sent.bob)" -gt 300
    is "not a packet of bob's passed, and not one of alice's was lost" \
        test "$(cat received)" = "$alice $(cat sent.alice)"
    is "bob is shut out after the upgrade" shut_out "$bob"
}

# Says, at the next start, what there is when networks may be configured.
probe() {
    cat >/etc/systemd/system/probe.service <<EOF
[Unit]
DefaultDependencies=no
After=network-pre.target
Before=networking.service

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'ip -details link show dev eth0 >/run/probe; systemctl show --property ActiveState allowlistd.service >>/run/probe'

[Install]
WantedBy=multi-user.target
EOF
    systemctl enable probe.service
}

booted() {
    cat /run/probe
    is "the filter was there before the network" says 'prog/xdp' cat /run/probe
    is "the interface was down then" says 'state DOWN' cat /run/probe
    is "the daemon was ready then" says '^ActiveState=active$' cat /run/probe
    is "no ordering was given up" not says 'ordering cycle' journalctl -b
    is "alice is served after a start of the machine" served "$alice"
    is "bob is shut out after a start of the machine" shut_out "$bob"
}

removed() {
    is "it is removed" apt-get remove --yes allowlist
    is "no program is left" no_program
    is "no pins are left" no_pins
    is "bob is served" served "$bob"
    is "the state is kept" test -e /var/lib/allowlist/allowlist.db

    is "it is installed again" apt-get install --yes ./next.deb
    is "its daemon runs again" systemctl is-active allowlistd.service
    is "bob is shut out again" shut_out "$bob"

    # The operator's own.
    rm /etc/allowlist/office.txt
    is "it is purged" apt-get purge --yes allowlist
    is "no program is left behind" no_program
    is "no pins are left behind" no_pins
    is "no state is left" test ! -e /var/lib/allowlist
    is "no configuration is left" test ! -e /etc/allowlist
    is "no unit is left" not says allowlist systemctl list-unit-files --no-legend
    is "no link to a unit is left" not says . find /etc/systemd /var/lib/systemd -name '*allowlist*'
    is "bob is served in the end" served "$bob"
}

clients
if [ ! -e /var/lib/scenario ]; then
    installed
    shut_in
    roles
    killed
    upgraded
    probe
    touch /var/lib/scenario
    systemctl --no-block reboot
else
    booted
    removed
    finish OK
fi
