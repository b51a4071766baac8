//! What is there before a page's first block, where that is more than the daemon.

use anyhow::Result;

use super::machine::Machine;

/// A machine whose redis admits this address, or is not protected yet.
pub(super) fn redis(admitted: Option<&str>) -> Result<Machine> {
    let mut machine = Machine::installed()?;
    machine.server.add_redis()?;
    if let Some(address) = admitted {
        machine.typed("server", "allowlist-ctl protect redis tcp/6379")?;
        machine.typed("server", &format!("allowlist-ctl add redis {address}"))?;
    }
    Ok(machine)
}

/// A machine with redis whose filter runs generic: a veth pair loses what the filter answers natively.
pub(super) fn answering_redis() -> Result<Machine> {
    let mut machine = Machine::new()?;
    machine.write(
        "/etc/allowlist/allowlistd.toml",
        "[[interface]]\nname = \"eth0\"\nmode = \"generic\"\n",
    )?;
    machine.server.add_redis()?;
    machine.start()?;
    Ok(machine)
}

/// An sshd, and clients whose root has a key for the server's.
pub(super) fn ssh() -> Result<Machine> {
    let machine = Machine::installed()?;
    machine.write(
        "/etc/ssh/sshd_config",
        "StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nUseDNS no\n",
    )?;
    machine.write(
        ".ssh/config",
        "StrictHostKeyChecking no\nUserKnownHostsFile /dev/null\nLogLevel ERROR\n",
    )?;
    machine.typed(
        "server",
        "mkdir -p -m 755 /run/sshd
         rm -f /etc/ssh/ssh_host_*
         ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
         ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id_ed25519
         cp ~/.ssh/id_ed25519.pub ~/.ssh/authorized_keys
         /usr/sbin/sshd -E /var/log/sshd.log",
    )?;
    machine.typed("bob", "ssh server.example true")?;
    Ok(machine)
}

/// A cluster of Debian's `PostgreSQL` that listens everywhere, with a database and a user for it.
pub(super) fn postgresql() -> Result<Machine> {
    let machine = Machine::installed()?;
    machine.typed(
        "server",
        r#"version=$(ls /usr/lib/postgresql | sort -n | tail -n 1)
           test ! -e /etc/postgresql/$version/main || pg_dropcluster $version main
           mkdir -p -m 1777 /var/run/postgresql
           pg_createcluster $version main --port 5432 --pgoption listen_addresses='*' >/dev/null
           echo 'host shop app all scram-sha-256' >>/etc/postgresql/$version/main/pg_hba.conf
           pg_ctlcluster $version main start
           cd /
           runuser -u postgres -- psql -qc "create user app password 'secret'"
           runuser -u postgres -- psql -qc 'create database shop owner app'
           echo '*:*:*:*:secret' >~/.pgpass
           chmod 600 ~/.pgpass
           # The program that notes sources is loaded when it is first needed, which takes a moment.
           allowlist-ctl protect other tcp/1
           allowlist-ctl learn other --for 1s >/dev/null
           allowlist-ctl unprotect other"#,
    )?;
    machine.typed("bob", "psql -h server.example -U app shop -c 'select 1'")?;
    Ok(machine)
}

/// A web site in nginx on the server, and the CDN's on alice's host, which has the list of the CDN's prefixes.
pub(super) fn site() -> Result<Machine> {
    let machine = Machine::installed()?;
    let nginx = |name: &str, server: &str| {
        format!(
            "pid /run/nginx-{name}.pid;\nerror_log /var/log/nginx-{name}.log;\nevents {{}}\n\
             http {{ access_log off; server {{ {server} ssl_certificate /etc/ssl/{name}.pem; \
             ssl_certificate_key /etc/ssl/{name}.key; }} }}\n"
        )
    };
    let listen = "listen 443 ssl; listen [::]:443 ssl;";
    let site = format!("listen 80; listen [::]:80; {listen} return 200 \"the site\\n\";");
    machine.write("/etc/nginx/site.conf", &nginx("site", &site))?;
    machine.write("/etc/nginx/cdn.conf", &nginx("cdn", &format!("{listen} root /srv/cdn;")))?;
    machine.write("/srv/cdn/ips", "203.0.113.64/26\n2001:db8:cd::/48\n")?;
    machine.typed(
        "server",
        "echo '203.0.113.7 cdn.example' >>/etc/hosts
         for name in site cdn; do
             host=$name.example
             test $name = cdn || host=server.example
             openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=$host -addext subjectAltName=DNS:$host \
                 -keyout /etc/ssl/$name.key -out /etc/ssl/$name.pem 2>/dev/null
             cat /etc/ssl/$name.pem >>/etc/ssl/certs/ca-certificates.crt
         done
         nginx -c /etc/nginx/site.conf",
    )?;
    machine.typed("alice", "nginx -c /etc/nginx/cdn.conf")?;
    machine.typed("bob", "curl -sS https://server.example/")?;
    Ok(machine)
}

/// What Docker makes of `docker run --publish 8080:80`: a bridge, a container on it, and a translation of addresses.
pub(super) fn container() -> Result<Machine> {
    let machine = Machine::installed()?;
    machine.write("/srv/web/index.html", "a container\n")?;
    machine.typed(
        "server",
        "ip link add docker0 type bridge
         ip address add 172.17.0.1/16 dev docker0
         ip link set docker0 up
         for number in 2 3; do
             ip netns add container$number
             ip link add veth$number type veth peer name eth0 netns container$number
             ip link set veth$number master docker0 up
             ip -n container$number address add 172.17.0.$number/16 dev eth0
             ip -n container$number link set lo up
             ip -n container$number link set eth0 up
             ip -n container$number route add default via 172.17.0.1
         done
         echo 1 >/proc/sys/net/ipv4/ip_forward
         nft -f - <<'END'
table ip nat {
    chain prerouting {
        type nat hook prerouting priority dstnat
        fib daddr type local tcp dport 8080 dnat to 172.17.0.2:80
    }
    chain postrouting {
        type nat hook postrouting priority srcnat
        ip saddr 172.17.0.0/16 oifname != docker0 masquerade
    }
}
END
         cd /srv/web
         ip netns exec container2 python3 -m http.server 80 >/var/log/container.log 2>&1 &
         # In the place of docker-proxy.
         python3 -m http.server --directory /srv/web 8080 >/var/log/proxy.log 2>&1 &
         until ip netns exec container3 curl -s http://172.17.0.2/ >/dev/null; do sleep 0.1; done",
    )?;
    machine.typed("bob", "curl -sS http://server.example:8080/")?;
    Ok(machine)
}
