//! An SSH session, told to the daemon so that it can name it first when a change would cut it.

use std::{fmt, net::SocketAddr, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The two ends of an SSH session. As text it is `CLIENT|SERVER`, each an address and a port.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = PATTERN, "examples" = ["203.0.113.9:50000|10.0.0.1:22"]))]
pub struct SshSession {
    /// The operator's end.
    pub client: SocketAddr,
    /// This host's end.
    pub server: SocketAddr,
}

/// A text that is no SSH session.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("'{0}' is not an SSH session: write CLIENT|SERVER, each with its port")]
pub struct InvalidSession(String);

/// What a session looks like; not every number of an address or port is one.
const PATTERN: &str = r"^([0-9.]+|\[[0-9A-Fa-f.:]+(%[0-9]+)?\]):[0-9]+\|([0-9.]+|\[[0-9A-Fa-f.:]+(%[0-9]+)?\]):[0-9]+$";
/// Longest part of a bad text that is repeated, in characters.
const SHOWN: usize = 120;

impl SshSession {
    /// The session between two ends, written as its packets have them: IPv4 addresses in IPv6 ones
    /// (`::ffff:a.b.c.d`) become IPv4, and scope ids are left out.
    #[must_use]
    pub fn new(client: SocketAddr, server: SocketAddr) -> Self {
        let plain = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
        Self { client: plain(client), server: plain(server) }
    }
}

impl fmt::Display for SshSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}|{}", self.client, self.server)
    }
}

impl FromStr for SshSession {
    type Err = InvalidSession;

    fn from_str(text: &str) -> Result<Self, InvalidSession> {
        let ends = text.split_once('|');
        ends.and_then(|(client, server)| {
            Some(Self::new(client.parse().ok()?, server.parse().ok()?))
        })
        .ok_or_else(|| InvalidSession(text.chars().take(SHOWN).collect()))
    }
}

crate::words::text_form!(SshSession, InvalidSession);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_read_as_it_is_written() {
        let cases = [
            ("IPv4", "203.0.113.9:50000|10.0.0.1:22", Some("203.0.113.9:50000|10.0.0.1:22")),
            (
                "IPv6",
                "[2001:db8::9]:50000|[2001:db8::1]:22",
                Some("[2001:db8::9]:50000|[2001:db8::1]:22"),
            ),
            (
                "IPv4 on an IPv6 socket",
                "[::ffff:203.0.113.9]:50000|[::ffff:10.0.0.1]:22",
                Some("203.0.113.9:50000|10.0.0.1:22"),
            ),
            ("scoped", "[fe80::9%3]:50000|[fe80::1%3]:22", Some("[fe80::9]:50000|[fe80::1]:22")),
            ("nothing", "", None),
            ("one end", "203.0.113.9:50000", None),
            ("three ends", "10.0.0.9:5|10.0.0.1:22|10.0.0.1:22", None),
            ("no port", "203.0.113.9|10.0.0.1:22", None),
            ("a name", "client:50000|10.0.0.1:22", None),
            ("blanks", "203.0.113.9:50000 | 10.0.0.1:22", None),
        ];
        for (description, text, expected) in cases {
            let session = text.parse::<SshSession>();
            let written = session.as_ref().ok().map(ToString::to_string);
            assert_eq!(written.as_deref(), expected, "{description}");
            let json = serde_json::to_string(text).unwrap();
            assert_eq!(serde_json::from_str(&json).ok(), session.ok(), "{description}, in JSON");
        }
        let session: SshSession = "10.0.0.9:5|10.0.0.1:22".parse().unwrap();
        assert_eq!(serde_json::to_string(&session).unwrap(), r#""10.0.0.9:5|10.0.0.1:22""#);
    }

    #[test]
    fn a_bad_text_is_repeated_in_part() {
        let InvalidSession(shown) = "x".repeat(1000).parse::<SshSession>().unwrap_err();
        assert_eq!(shown, "x".repeat(SHOWN));
    }
}
