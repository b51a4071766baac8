//! The file of `check --file`: `203.0.113.7 redis admitted`, an assertion a line.

use std::{io::BufRead, net::IpAddr, path::Path};

use crate::{
    api::{CheckVerdict, Question},
    cli::{error::Error, file},
};

/// What a line asserts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::cli) struct Assertion {
    /// The line's number, from 1.
    pub(super) line: usize,
    pub(super) question: Question,
    pub(super) expected: CheckVerdict,
}

/// An address as it is typed.
///
/// # Errors
/// A sentence.
pub(super) fn address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| {
        if text.contains(['/', '-']) {
            format!("'{text}' is more than one address: packets come from one, such as 203.0.113.7")
        } else {
            format!("'{text}' is no address: write 203.0.113.7 or 2001:db8::7")
        }
    })
}

/// Reads a file of assertions; `-` is standard input. Empty lines and comments say nothing.
///
/// # Errors
/// [`Error::File`], [`Error::Lines`] with every line that cannot be read.
pub(super) fn read(path: &Path, stdin: &mut dyn BufRead) -> Result<Vec<Assertion>, Error> {
    let bytes = file::read(path, stdin)?;
    // The file was found to be UTF-8.
    parse(&String::from_utf8_lossy(&bytes)).map_err(Error::Lines)
}

fn parse(text: &str) -> Result<Vec<Assertion>, Vec<String>> {
    let mut assertions = Vec::new();
    let mut wrong = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        let text = text.split_once('#').map_or(text, |(text, _)| text).trim();
        if text.is_empty() {
            continue;
        }
        match parse_line(line, text) {
            Ok(assertion) => assertions.push(assertion),
            Err(error) => wrong.push(format!("line {line}: {error}")),
        }
    }
    if wrong.is_empty() { Ok(assertions) } else { Err(wrong) }
}

fn parse_line(line: usize, text: &str) -> Result<Assertion, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (source, port, expected) = match words[..] {
        [source, expected] => (source, None, expected),
        [source, port, expected] => (source, Some(port.to_owned()), expected),
        _ => return Err(format!("'{text}' is no assertion: write 203.0.113.7 redis admitted")),
    };
    let expected = match expected {
        "admitted" => CheckVerdict::Admitted,
        "dropped" => CheckVerdict::Dropped,
        other => return Err(format!("'{other}' is no verdict: write admitted or dropped")),
    };
    let address = address(source)?;
    let question =
        Question { address, port, interface: None, to: None, vlan: None, fragment: None };
    Ok(Assertion { line, question, expected })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_an_assertion_a_line() {
        let text = "# who gets in\n203.0.113.7 redis admitted\n\n2001:db8::7 tcp/443 dropped # not they\n10.0.0.1 dropped\n";
        let told: Vec<String> = parse(text)
            .unwrap()
            .into_iter()
            .map(|Assertion { line, question, expected }| {
                let port = question.port.unwrap_or_default();
                format!("{line} {} {port} {}", question.address, expected.word())
            })
            .collect();
        assert_eq!(
            told,
            [
                "2 203.0.113.7 redis admitted",
                "4 2001:db8::7 tcp/443 dropped",
                "5 10.0.0.1  dropped"
            ]
        );
    }

    #[test]
    fn every_line_that_is_no_assertion_is_named() {
        let text = "10.0.0.0/8 redis admitted\nredis\n10.0.0.1 redis allowed\nx redis dropped\n";
        assert_eq!(
            parse(text).unwrap_err(),
            [
                "line 1: '10.0.0.0/8' is more than one address: packets come from one, such as 203.0.113.7",
                "line 2: 'redis' is no assertion: write 203.0.113.7 redis admitted",
                "line 3: 'allowed' is no verdict: write admitted or dropped",
                "line 4: 'x' is no address: write 203.0.113.7 or 2001:db8::7",
            ]
        );
    }
}
