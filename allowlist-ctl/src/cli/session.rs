//! The SSH session that a command was typed in.
//!
//! sshd leaves it in the environment, and sudo takes it out again; then it is still in that of sudo itself, or of the
//! shell before. What is found only decides what a refusal names first, so nothing depends on its being true.

use std::{
    env,
    fs::File,
    io::Read as _,
    iter,
    net::IpAddr,
    os::unix::{ffi::OsStrExt as _, process::parent_id},
    path::Path,
    str,
};

use crate::api::SshSession;

/// What sshd calls it: `CLIENT-ADDRESS CLIENT-PORT SERVER-ADDRESS SERVER-PORT` (ssh(1)).
const VARIABLE: &str = "SSH_CONNECTION";

/// How many ancestors are looked at.
const ANCESTORS: usize = 64;

/// Most environments fit in this, in bytes.
const FIRST_READ: usize = 16 << 10;
/// An environment is no longer than its process may have been started with.
const MOST_READ: u64 = 8 << 20;

/// The session that this process belongs to: its own environment's, or else that of the nearest ancestor that has one.
/// Whatever can't be read has none.
pub(super) fn ssh_session() -> Option<SshSession> {
    let own = env::var_os(VARIABLE).and_then(|value| session(value.as_bytes()));
    own.or_else(|| inherited(parent_id(), Path::new("/proc")))
}

/// Processes by id.
trait Processes {
    /// Variables and their values, each with a zero byte behind.
    fn environment(&self, pid: u32) -> Option<Vec<u8>>;

    /// Its parent.
    fn parent(&self, pid: u32) -> Option<u32>;
}

/// Reads a file of `/proc`, whose length nobody knows before: at one go, for every command that changes something
/// waits for it.
fn read(path: &Path) -> Option<Vec<u8>> {
    let mut content = Vec::with_capacity(FIRST_READ);
    File::open(path).ok()?.take(MOST_READ).read_to_end(&mut content).ok()?;
    Some(content)
}

/// A directory like `/proc` (proc(5)).
impl Processes for Path {
    fn environment(&self, pid: u32) -> Option<Vec<u8>> {
        read(&self.join(pid.to_string()).join("environ"))
    }

    fn parent(&self, pid: u32) -> Option<u32> {
        // Not text: a program's name, which is in it too, may be any bytes.
        let status = read(&self.join(pid.to_string()).join("status"))?;
        let parent =
            status.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"PPid:"));
        str::from_utf8(parent?).ok()?.trim().parse().ok()
    }
}

/// The session of a process or of the nearest of its ancestors that has one.
fn inherited(pid: u32, processes: &(impl Processes + ?Sized)) -> Option<SshSession> {
    let line = iter::successors(Some(pid), |pid| processes.parent(*pid));
    // The first process has none before it, and neither has the first of a container.
    line.take_while(|pid| *pid != 0)
        .take(ANCESTORS)
        .filter_map(|pid| processes.environment(pid))
        .find_map(|environment| variable(&environment).and_then(session))
}

fn variable(environment: &[u8]) -> Option<&[u8]> {
    environment
        .split(|byte| *byte == 0)
        .find_map(|line| line.strip_prefix(VARIABLE.as_bytes())?.strip_prefix(b"="))
}

fn session(value: &[u8]) -> Option<SshSession> {
    let mut words = str::from_utf8(value).ok()?.split_ascii_whitespace();
    let mut end = || {
        // A scope id may be a name, which addresses are not read with.
        let (address, port) = (words.next()?.split('%').next()?, words.next()?);
        Some((address.parse::<IpAddr>().ok()?, port.parse::<u16>().ok()?).into())
    };
    let session = SshSession::new(end()?, end()?);
    words.next().is_none().then_some(session)
}

#[cfg(test)]
mod tests {
    use std::{
        collections::HashMap,
        io::{BufRead as _, BufReader},
        process::{Command, Stdio},
    };

    use std::fs;

    use super::*;

    #[test]
    fn the_variable_names_both_ends() {
        let cases: [(&str, &[u8], Option<&str>); 11] = [
            ("IPv4", b"203.0.113.9 50000 10.0.0.1 22", Some("203.0.113.9:50000|10.0.0.1:22")),
            (
                "IPv6",
                b"2001:db8::9 50000 2001:db8::1 22",
                Some("[2001:db8::9]:50000|[2001:db8::1]:22"),
            ),
            (
                "link-local",
                b"fe80::9%eth0 50000 fe80::1%eth0 22",
                Some("[fe80::9]:50000|[fe80::1]:22"),
            ),
            (
                "IPv4 on an IPv6 socket",
                b"::ffff:203.0.113.9 50000 ::ffff:10.0.0.1 22",
                Some("203.0.113.9:50000|10.0.0.1:22"),
            ),
            ("nothing", b"", None),
            ("sshd without a socket", b"UNKNOWN 65535 UNKNOWN 65535", None),
            ("one end", b"203.0.113.9 50000", None),
            ("a port missing", b"203.0.113.9 50000 10.0.0.1", None),
            ("a port too large", b"203.0.113.9 65536 10.0.0.1 22", None),
            ("a word too many", b"203.0.113.9 50000 10.0.0.1 22 23", None),
            ("no text", b"203.0.113.9 50000 10.0.0.1 22\xff", None),
        ];
        for (description, value, expected) in cases {
            let found = session(value).map(|session| session.to_string());
            assert_eq!(found.as_deref(), expected, "{description}");
        }
    }

    /// Parent and environment of each process; none: it can't be read.
    type Table = HashMap<u32, (u32, Option<&'static str>)>;

    impl Processes for Table {
        fn environment(&self, pid: u32) -> Option<Vec<u8>> {
            Some(self.get(&pid)?.1?.into())
        }

        fn parent(&self, pid: u32) -> Option<u32> {
            Some(self.get(&pid)?.0)
        }
    }

    #[test]
    fn the_nearest_ancestor_with_a_session_has_it() {
        const NEAR: &str = "A=b\0SSH_CONNECTION=10.0.0.9 5 10.0.0.1 22\0C=d\0";
        const FAR: &str = "SSH_CONNECTION=10.0.0.8 5 10.0.0.1 22\0";
        const BROKEN: &str = "SSH_CONNECTION=UNKNOWN 65535 UNKNOWN 65535\0";
        const ALIKE: &str = "OLD_SSH_CONNECTION=10.0.0.7 5 10.0.0.1 22\0\
                             SSH_CONNECTIONS=10.0.0.7 5 10.0.0.1 22\0\
                             SSH_CONNECTION=10.0.0.9 5 10.0.0.1 22\0";
        let near = Some("10.0.0.9:5|10.0.0.1:22");
        let far = Some("10.0.0.8:5|10.0.0.1:22");
        let some = |environment| Some(environment);
        let cases: [(&str, Table, Option<&str>); 10] = [
            ("the process", [(50, (40, some(NEAR)))].into(), near),
            ("its parent", [(50, (40, some("A=b\0"))), (40, (1, some(NEAR)))].into(), near),
            (
                "the nearest of two",
                [(50, (40, some(""))), (40, (30, some(NEAR))), (30, (1, some(FAR)))].into(),
                near,
            ),
            (
                "one behind one that can't be read",
                [(50, (40, None)), (40, (30, None)), (30, (1, some(FAR)))].into(),
                far,
            ),
            (
                "one behind one that is not understood",
                [(50, (40, some(BROKEN))), (40, (1, some(FAR)))].into(),
                far,
            ),
            ("one behind variables with such a name", [(50, (1, some(ALIKE)))].into(), near),
            ("the first process", [(50, (1, some(""))), (1, (0, some(FAR)))].into(), far),
            ("nobody", [(50, (1, some(""))), (1, (0, some("")))].into(), None),
            ("an ancestor that is gone", [(50, (40, some("")))].into(), None),
            ("no first process", [(50, (0, some(""))), (0, (0, some(FAR)))].into(), None),
        ];
        for (description, processes, expected) in cases {
            let found = inherited(50, &processes).map(|session| session.to_string());
            assert_eq!(found.as_deref(), expected, "{description}");
        }
    }

    #[test]
    fn the_search_has_an_end() {
        let far = "SSH_CONNECTION=10.0.0.8 5 10.0.0.1 22\0";
        let last = u32::try_from(ANCESTORS).unwrap();
        let row = |length: u32| -> Table {
            (1..=length).map(|pid| (pid, (pid + 1, (pid == length).then_some(far)))).collect()
        };
        assert!(inherited(1, &row(last)).is_some());
        assert!(inherited(1, &row(last + 1)).is_none());
        // Ids may be given anew while they are read.
        let circle: Table = [(2, (3, Some(""))), (3, (2, Some("")))].into();
        assert!(inherited(2, &circle).is_none());
    }

    #[test]
    fn a_process_has_its_parent_whatever_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let cases: [(&str, &[u8], Option<u32>); 5] = [
            ("as usual", b"Name:\tsh\nPid:\t7\nPPid:\t6\nTracerPid:\t0\n", Some(6)),
            ("a name that is no text", b"Name:\t\xff\nPPid:\t6\n", Some(6)),
            ("a name like the field", b"Name:\tPPid:\t5\nPPid:\t6\n", Some(6)),
            ("no parent", b"Name:\tsh\n", None),
            ("no number", b"PPid:\tsh\n", None),
        ];
        for (description, status, expected) in cases {
            fs::create_dir_all(directory.path().join("7")).unwrap();
            fs::write(directory.path().join("7/status"), status).unwrap();
            assert_eq!(Processes::parent(directory.path(), 7), expected, "{description}");
        }
    }

    #[test]
    fn a_session_is_found_behind_a_program_that_clears_the_environment() {
        // As under sudo: a shell with the variable, and below it a process without, which ends with its input.
        let script = r#"env -i "$(command -v sh)" -c 'echo $$; read line'; true"#;
        let mut shell = Command::new("sh")
            .args(["-c", script])
            .env(VARIABLE, "203.0.113.9 50000 10.0.0.1 22")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pid = String::new();
        BufReader::new(shell.stdout.take().unwrap()).read_line(&mut pid).unwrap();
        let pid = pid.trim().parse().unwrap();

        let proc = Path::new("/proc");
        assert_ne!(pid, shell.id());
        assert_eq!(variable(&proc.environment(pid).unwrap()), None);
        let found = inherited(pid, proc).map(|session| session.to_string());
        assert_eq!(found.as_deref(), Some("203.0.113.9:50000|10.0.0.1:22"));

        drop(shell.stdin.take());
        shell.wait().unwrap();
    }
}
