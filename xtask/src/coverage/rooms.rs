//! Lines that tests come by, summed up by room.

use std::{collections::BTreeMap, fmt, io, path::Path};

/// Which rooms have to be come by, in the order of the table. The kernel's is left out: what of it runs there cannot count, and
/// much of the rest is for kernels other than this one.
const BOUND: [&str; 6] = ["policy", "api", "store", "daemon", "cli", "common"];
/// What is told beside them.
const FREE: [&str; 2] = ["kernel", "host"];

/// How many lines there are, and how many of them tests come by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Lines {
    all: u64,
    covered: u64,
}

impl Lines {
    /// Rounded down, so that a bound is not reached by rounding. A room without lines is one that nothing was counted of.
    fn tenths_of_percent(self) -> u64 {
        (self.covered * 1000).checked_div(self.all).unwrap_or(0)
    }
}

/// The rooms with their lines.
#[derive(Debug)]
pub(super) struct Rooms(BTreeMap<&'static str, Lines>);

impl Rooms {
    /// Those of a project in this directory, by what llvm-cov reports of its files in the format of lcov, and by what
    /// `read` reads of them.
    pub(super) fn of(
        report: &str,
        project: &Path,
        read: impl Fn(&Path) -> io::Result<String>,
    ) -> io::Result<Self> {
        let mut rooms = BTreeMap::from(BOUND.map(|room| (room, Lines::default())));
        rooms.extend(FREE.map(|room| (room, Lines::default())));
        for file in report.split("end_of_record") {
            let Some(name) = file.lines().find_map(|line| line.strip_prefix("SF:")) else {
                continue;
            };
            let name = Path::new(name);
            let room = name.strip_prefix(project).ok().and_then(room);
            let Some(lines) = room.and_then(|room| rooms.get_mut(room)) else { continue };
            let end = begin_of_tests(&read(name)?);
            for line in file.lines().filter_map(|line| line.strip_prefix("DA:")) {
                let mut numbers =
                    line.split(',').map(|number| number.parse::<usize>().unwrap_or(0));
                let (number, times) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
                if number < end {
                    lines.all += 1;
                    lines.covered += u64::from(times > 0);
                }
            }
        }
        Ok(Self(rooms))
    }

    /// The bound ones of which less than this many percent are come by.
    pub(super) fn below(&self, percent: u32) -> Vec<&'static str> {
        let is_below = |room: &&str| self.lines(room).tenths_of_percent() < u64::from(percent) * 10;
        BOUND.into_iter().filter(is_below).collect()
    }

    fn lines(&self, room: &str) -> Lines {
        self.0.get(room).copied().unwrap_or_default()
    }
}

impl fmt::Display for Rooms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<8}{:>8}{:>10}{:>10}", "ROOM", "LINES", "COVERED", "PERCENT")?;
        for room in BOUND.into_iter().chain(FREE) {
            let lines = self.lines(room);
            let tenths = lines.tenths_of_percent();
            let percent = format!("{}.{}", tenths / 10, tenths % 10);
            writeln!(f, "{room:<8}{:>8}{:>10}{percent:>10}", lines.all, lines.covered)?;
        }
        Ok(())
    }
}

/// The room of a file of the project; none has what is a test itself, which all tests come by.
fn room(file: &Path) -> Option<&str> {
    let mut parts: Vec<_> =
        file.components().filter_map(|part| part.as_os_str().to_str()).collect();
    if parts.iter().any(|part| matches!(*part, "tests" | "tests.rs" | "testing.rs")) {
        return None;
    }
    match parts.as_slice() {
        ["allowlist-common", "src", ..] => Some("common"),
        ["allowlist-ctl", "src", "bin", "allowlistd.rs"] => Some("daemon"),
        ["allowlist-ctl", "src", "bin", "allowlist-ctl.rs"] => Some("cli"),
        ["allowlist-ctl", "src", _, _, ..] => Some(parts.swap_remove(2)),
        _ => None,
    }
}

/// The number of the line that a file's own tests begin at, which end it; all tests come by their own lines.
fn begin_of_tests(source: &str) -> usize {
    let lines: Vec<_> = source.lines().collect();
    let begin = lines.windows(2).position(|two| two == ["#[cfg(test)]", "mod tests {"]);
    begin.map_or(usize::MAX, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_belongs_to_the_room_of_its_folder_and_tests_to_none() {
        for (file, expected) in [
            ("allowlist-common/src/parse.rs", Some("common")),
            ("allowlist-common/tests/packets/main.rs", None),
            ("allowlist-ctl/src/daemon/owner/change.rs", Some("daemon")),
            ("allowlist-ctl/src/bin/allowlistd.rs", Some("daemon")),
            ("allowlist-ctl/src/bin/allowlist-ctl.rs", Some("cli")),
            ("allowlist-ctl/src/policy/sources/tests.rs", None),
            ("allowlist-ctl/src/daemon/follow/tests/stage.rs", None),
            ("allowlist-ctl/src/cli/testing.rs", None),
            ("allowlist-ctl/src/lib.rs", None),
            ("allowlist-ctl/tests/e2e/roles.rs", None),
            ("xtask/src/main.rs", None),
        ] {
            assert_eq!(room(Path::new(file)), expected, "{file}");
        }
    }

    /// What llvm-cov says of files with a number of lines, the first of which tests come by.
    fn report(files: &[(&str, u64, u64)]) -> String {
        let file = |(name, all, covered): &(&str, u64, u64)| {
            let line = |number: u64| format!("DA:{number},{}\n", u64::from(number <= *covered) * 7);
            let lines: String = (1..=*all).map(line).collect();
            format!("SF:{name}\nFN:1,f\nFNDA:7,f\n{lines}LF:{all}\nLH:{covered}\nend_of_record\n")
        };
        files.iter().map(file).collect()
    }

    fn rooms(files: &[(&str, u64, u64)], source: &str) -> Rooms {
        Rooms::of(&report(files), Path::new("/p"), |_| Ok(source.to_owned())).unwrap()
    }

    #[test]
    fn a_bound_room_below_the_bound_is_named_and_a_room_that_was_not_counted_too() {
        let all = |covered: u64, kernel: u64| {
            let mut files: Vec<(String, u64, u64)> = ["policy", "api", "store", "daemon", "cli"]
                .map(|room| (format!("/p/allowlist-ctl/src/{room}/a.rs"), 1000, 1000))
                .into();
            files.push(("/p/allowlist-ctl/src/cli/b.rs".into(), 1000, covered));
            files.push(("/p/allowlist-ctl/src/kernel/a.rs".into(), 1000, kernel));
            files
        };
        let common = ("/p/allowlist-common/src/lib.rs".to_owned(), 10, 9);
        for (name, files, expected) in [
            ("all covered", [all(1000, 1000), vec![common.clone()]].concat(), vec![]),
            ("just enough", [all(700, 0), vec![common.clone()]].concat(), vec![]),
            ("a line too few", [all(699, 0), vec![common]].concat(), vec!["cli"]),
            ("nothing of one", all(1000, 1000), vec!["common"]),
        ] {
            let files: Vec<_> =
                files.iter().map(|(name, all, some)| (&**name, *all, *some)).collect();
            assert_eq!(rooms(&files, "").below(85), expected, "{name}");
        }
    }

    #[test]
    fn a_files_own_tests_are_no_lines_of_its_room() {
        let file = [("/p/allowlist-ctl/src/policy/a.rs", 6, 6)];
        for (name, source, expected) in [
            ("no tests", "a\nb\nc\nd\ne\nf\n", 6),
            ("tests", "a\n#[cfg(test)]\nmod tests {\nd\ne\n}\n", 1),
            ("tests in a file of their own", "a\nb\nc\nd\n#[cfg(test)]\nmod tests;\n", 6),
            (
                "something else for tests",
                "#[cfg(test)]\nuse b;\nc\nd\n#[cfg(test)]\nmod tests {\n",
                4,
            ),
        ] {
            assert_eq!(rooms(&file, source).lines("policy").all, expected, "{name}");
        }
    }

    #[test]
    fn the_table_has_a_line_for_each_room() {
        let files = [("/p/allowlist-ctl/src/store/a.rs", 3000, 2999), ("/elsewhere/b.rs", 7, 7)];
        let table = rooms(&files, "").to_string();
        assert!(table.starts_with("ROOM       LINES   COVERED   PERCENT\npolicy "), "{table}");
        assert!(table.contains("\nstore       3000      2999      99.9\n"), "{table}");
        assert!(table.contains("\nkernel         0         0       0.0\n"), "{table}");
    }
}
