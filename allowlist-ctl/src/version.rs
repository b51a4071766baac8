//! What release this is.

use std::sync::LazyLock;

use allowlist_common::abi::ABI_VERSION;

/// The version, such as `1.2.3`.
pub(crate) const SHORT: &str = env!("ALLOWLIST_VERSION");

/// The commit it was built from; empty where it was built from no work tree of git's.
pub(crate) const COMMIT: &str = env!("ALLOWLIST_COMMIT");

/// The version with the commit it was built from and the version of the kernel interface.
#[must_use]
pub(crate) fn long() -> &'static str {
    static LONG: LazyLock<String> = LazyLock::new(|| describe(SHORT, COMMIT, ABI_VERSION));
    &LONG
}

fn describe(version: &str, commit: &str, abi: u32) -> String {
    if commit.is_empty() {
        format!("{version} (ABI {abi})")
    } else {
        format!("{version} (commit {commit}, ABI {abi})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_told_with_the_commit_where_there_is_one() {
        for (commit, expected) in [("0a1b", "1.2.3 (commit 0a1b, ABI 4)"), ("", "1.2.3 (ABI 4)")] {
            assert_eq!(describe("1.2.3", commit, 4), expected);
        }
    }
}
