//! The name that was meant, where one that nothing has was typed.

use std::fmt;

/// A name that nothing has, and the one there is that was probably meant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unknown {
    name: String,
    near: Option<String>,
}

impl Unknown {
    /// The name, looked for among those there are.
    pub fn among<T: AsRef<str>>(name: impl AsRef<str>, known: impl IntoIterator<Item = T>) -> Self {
        let name = name.as_ref();
        Self { name: name.to_owned(), near: nearest(name, known) }
    }

    /// Whether there is a name that was probably meant.
    #[must_use]
    pub fn has_near(&self) -> bool {
        self.near.is_some()
    }
}

/// The name in quotes, and a question behind it where there is a near one.
impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.near {
            Some(near) => write!(f, "'{}'; did you mean '{near}'?", self.name),
            None => write!(f, "'{}'", self.name),
        }
    }
}

/// The one of the names that `name` is most like, where one is like enough: at most every third letter of the longer one
/// is missing, too many, another, or changed places with its neighbour. Or else the only one that `name` begins.
pub fn nearest<T: AsRef<str>>(name: &str, known: impl IntoIterator<Item = T>) -> Option<String> {
    // The same with other capitals is meant for sure.
    let typed = name.to_lowercase();
    let mut best: Option<(usize, String)> = None;
    let mut begun = Vec::new();
    for candidate in known {
        let candidate = candidate.as_ref();
        let length = candidate.chars().count().max(typed.chars().count());
        let distance = strsim::damerau_levenshtein(&typed, &candidate.to_lowercase());
        let found = (distance, candidate.to_owned());
        if distance <= length / 3 && best.as_ref().is_none_or(|best| found < *best) {
            best = Some(found);
        }
        // A letter alone begins too much to be meant for it.
        if typed.len() > 1 && candidate.starts_with(&typed) {
            begun.push(candidate.to_owned());
        }
    }
    let only = if begun.len() == 1 { begun.pop() } else { None };
    best.map(|(_, name)| name).or(only)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_that_was_meant_is_found_where_it_is_near_enough() {
        let services = ["redis", "redis-replica", "postgres", "web", "db"];
        let interfaces = ["lo", "eth0", "eth1", "enp1s0f0", "wg0"];
        let table: [(&str, &[&str], &str, Option<&str>); 17] = [
            ("a letter too many", &services, "reddis", Some("redis")),
            ("a letter missing", &services, "rdis", Some("redis")),
            ("another letter", &services, "redix", Some("redis")),
            ("two neighbours", &services, "erdis", Some("redis")),
            ("two slips in a long name", &services, "postrges1", Some("postgres")),
            ("capitals", &services, "REDIS", Some("redis")),
            ("the beginning of one", &services, "post", Some("postgres")),
            ("the beginning of two", &services, "re", None),
            ("one letter", &services, "p", None),
            ("too far", &services, "mysql", None),
            ("half of a short one", &services, "dx", None),
            ("a third of a short one", &services, "wep", Some("web")),
            ("two thirds of a short one", &services, "wwb2", None),
            ("nothing there", &[], "redis", None),
            ("the first of two alike", &interfaces, "eth7", Some("eth0")),
            ("an interface", &interfaces, "ens1s0f0", Some("enp1s0f0")),
            ("nothing typed", &interfaces, "", None),
        ];
        for (description, known, name, expected) in table {
            assert_eq!(nearest(name, known).as_deref(), expected, "{description}");
        }
    }

    #[test]
    fn what_was_meant_is_asked_behind_the_name() {
        let told = |name| Unknown::among(name, ["redis"]).to_string();
        assert_eq!(told("reddis"), "'reddis'; did you mean 'redis'?");
        assert_eq!(told("mysql"), "'mysql'");
    }
}
