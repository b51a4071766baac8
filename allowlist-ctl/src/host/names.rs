//! Names of interfaces.

/// Longest name, in bytes.
pub const MAX_INTERFACE_NAME: usize = libc::IFNAMSIZ - 1;

/// Whether an interface could be called so (`dev_valid_name` in Linux); one that a line of text cannot show is not
/// taken, either.
#[must_use]
pub fn is_interface_name(name: &str) -> bool {
    let unusable = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
    (1..=MAX_INTERFACE_NAME).contains(&name.len())
        && !["", ".", ".."].contains(&name)
        && !name.contains(unusable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_would_not_take_is_no_name() {
        for (name, expected) in [
            ("eth0", true),
            ("enp3s0f1.4094", true),
            ("fifteen-bytes-1", true),
            ("sixteen-bytes-12", false),
            ("", false),
            (".", false),
            ("..", false),
            ("a/b", false),
            ("eth0:1", false),
            ("a b", false),
            ("a\u{7}", false),
        ] {
            assert_eq!(is_interface_name(name), expected, "{name:?}");
        }
    }
}
