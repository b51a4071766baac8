//! Names of services and groups.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longest name, in characters.
pub const MAX_LENGTH: usize = 63;

/// A name: lower-case letters, digits, `-` and `_`, 1 to 63 characters, a letter first.
#[derive(
    Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = "^[a-z][a-z0-9_-]{0,62}$", "examples" = ["redis"]))]
pub struct Name(Arc<str>);

/// A text that is no name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "'{0}' is not a name: use lower-case letters, digits, '-' and '_', at most 63, starting with a letter"
)]
pub struct InvalidName(String);

impl Name {
    /// The name of the built-in group.
    #[must_use]
    pub fn trusted() -> Self {
        Self(super::group::TRUSTED.into())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let rest_is_valid = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-' | '_');
        if text.len() <= MAX_LENGTH
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(rest_is_valid)
        {
            Ok(Self(text.into()))
        } else {
            Err(InvalidName(text.chars().take(MAX_LENGTH + 1).collect()))
        }
    }
}

crate::words::text_form!(Name, InvalidName);

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_and_start_with_a_letter() {
        for valid in ["a", "redis", "web-1", "a_b", &"x".repeat(63)] {
            assert!(valid.parse::<Name>().is_ok(), "{valid}");
        }
        for invalid in ["", "1a", "-a", "_a", "Redis", "a b", "a/b", "ä", &"x".repeat(64)] {
            assert!(invalid.parse::<Name>().is_err(), "{invalid}");
        }
    }
}
