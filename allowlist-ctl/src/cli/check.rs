//! `check`: how packets would be judged, one or a file full of them.

mod file;

use std::path::Path;

use self::file::Assertion;
use super::{
    args::CheckArgs,
    client::Client,
    console::{Console, Paint},
    error::Error,
    render,
    request::{Body, Request},
    run::print_json,
};
use crate::api::{
    Answers, Check, CheckVerdict, Checks, MAX_QUESTIONS, Problem, Question, Questions,
};

/// Answers `check`.
///
/// # Errors
/// [`Error::Dropped`] where a packet would be dropped or an assertion of a file does not hold, and why there is no answer.
pub(super) fn check(
    client: &Client,
    asked: &Asked,
    json: bool,
    console: &mut Console<'_>,
) -> Result<(), Error> {
    match asked {
        Asked::One(question) => one(client, question, json, console),
        Asked::File(assertions) => many(client, assertions, json, console),
    }
}

/// What is to be checked.
#[derive(Debug)]
pub(super) enum Asked {
    /// A packet.
    One(Box<Question>),
    /// The assertions of a file.
    File(Vec<Assertion>),
}

impl Asked {
    /// What was typed, read; with the file that it names.
    ///
    /// # Errors
    /// [`Error::Usage`], and those of the file.
    pub(super) fn of(args: &CheckArgs, stdin: &mut dyn std::io::BufRead) -> Result<Self, Error> {
        if let Some(path) = &args.file {
            return file::read(Path::new(path), stdin).map(Self::File);
        }
        let address = args.address.as_deref().unwrap_or_default();
        let question = Question {
            address: file::address(address).map_err(|error| Error::Usage(vec![error]))?,
            port: args.port.clone(),
            interface: args.interface.clone(),
            to: args
                .to
                .as_deref()
                .map(file::address)
                .transpose()
                .map_err(|error| Error::Usage(vec![error]))?,
            vlan: args.vlan,
            fragment: args.fragment,
        };
        Ok(Self::One(Box::new(question)))
    }
}

/// Explains how packets of a question would be judged, as lines of text.
///
/// # Errors
/// Why there is no answer.
pub(super) fn explain(client: &Client, question: &Question) -> Result<Vec<String>, Error> {
    let checks: Checks = client.send(&request(question))?.document()?;
    let mut text = Vec::new();
    render::checks(&checks, is_about_one(question), &mut text, Paint::OFF)?;
    Ok(String::from_utf8_lossy(&text).lines().map(str::to_owned).collect())
}

fn one(
    client: &Client,
    question: &Question,
    json: bool,
    console: &mut Console<'_>,
) -> Result<(), Error> {
    let checks: Checks = client.send(&request(question))?.document()?;
    if json {
        print_json(&checks, console)?;
    } else {
        render::checks(&checks, is_about_one(question), console.stdout, console.paint)?;
    }
    let drops = |check: &Check| check.verdict == CheckVerdict::Dropped;
    if checks.checks.iter().any(drops) { Err(Error::Dropped) } else { Ok(()) }
}

/// Whether every answer is to be explained, and not only listed.
const fn is_about_one(question: &Question) -> bool {
    question.port.is_some()
}

fn request(question: &Question) -> Request {
    let Question { address, port, interface, to, vlan, fragment } = question;
    let mut query = vec![("address", address.to_string())];
    query.extend(port.clone().map(|port| ("port", port)));
    query.extend(interface.clone().map(|interface| ("interface", interface)));
    query.extend(to.map(|to| ("to", to.to_string())));
    query.extend(vlan.map(|vlan| ("vlan", vlan.to_string())));
    query.extend(fragment.map(|fragment| ("fragment", render::fragment_name(fragment).to_owned())));
    Request::get(super::request::with_query("/v1/check", &query))
}

/// How an assertion fared.
#[derive(Debug, serde::Serialize)]
struct Outcome<'a> {
    line: usize,
    #[serde(flatten)]
    question: &'a Question,
    expected: CheckVerdict,
    holds: bool,
    checks: Vec<Check>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
}

fn many(
    client: &Client,
    assertions: &[Assertion],
    json: bool,
    console: &mut Console<'_>,
) -> Result<(), Error> {
    let mut outcomes = Vec::new();
    for assertions in assertions.chunks(MAX_QUESTIONS) {
        let questions = assertions.iter().map(|assertion| assertion.question.clone()).collect();
        let request = Request {
            method: hyper::Method::POST,
            body: Body::json(&Questions { questions }),
            ..Request::get("/v1/check")
        };
        let Answers { answers } = client.send(&request)?.document()?;
        if answers.len() != assertions.len() {
            return Err(Error::Unreadable(format!(
                "{} answers to {} questions",
                answers.len(),
                assertions.len()
            )));
        }
        outcomes.extend(assertions.iter().zip(answers).map(|(assertion, answer)| {
            let is_it = |check: &Check| check.verdict == assertion.expected;
            // Where nothing is protected, everybody is admitted everywhere.
            let is_so = if answer.checks.is_empty() {
                assertion.expected == CheckVerdict::Admitted
            } else {
                answer.checks.iter().all(is_it)
            };
            Outcome {
                line: assertion.line,
                question: &assertion.question,
                expected: assertion.expected,
                holds: answer.problem.is_none() && is_so,
                checks: answer.checks,
                problem: answer.problem,
            }
        }));
    }
    if json {
        print_json(&serde_json::json!({ "assertions": outcomes }), console)?;
    } else {
        for outcome in outcomes.iter().filter(|outcome| !outcome.holds) {
            let Outcome { line, question, expected, checks, problem, .. } = outcome;
            let port = question.port.as_deref().unwrap_or("every service");
            let (address, expected) = (question.address, expected.word());
            writeln!(console.stdout, "line {line}: {address} {port} is not {expected}:")?;
            if let Some(problem) = problem {
                writeln!(console.stdout, "  {}", super::console::clean(&problem.message))?;
            }
            if checks.is_empty() && problem.is_none() {
                writeln!(console.stdout, "  no service is protected: everybody is admitted")?;
            }
            let wrong = checks.iter().filter(|check| check.verdict != outcome.expected);
            for check in wrong {
                let line = super::console::clean(&render::check_line(check)).into_owned();
                writeln!(console.stdout, "  {line}")?;
            }
        }
        let held = outcomes.iter().filter(|outcome| outcome.holds).count();
        writeln!(console.stdout, "{held} of {} hold", outcomes.len())?;
    }
    if outcomes.iter().all(|outcome| outcome.holds) { Ok(()) } else { Err(Error::Dropped) }
}
