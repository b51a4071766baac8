//! Requests of the HTTP interface, as any program would make them, by whichever user.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{Answer, Server, exchange};

/// What the daemon answered.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Reply {
    /// The body of a request that has to succeed.
    pub(crate) fn done(self) -> Result<Value> {
        ensure!(self.status == 200, "not done: {self:?}");
        Ok(self.body)
    }

    /// The problem of a request that has to be refused so.
    pub(crate) fn refused(self, status: u16, code: &str) -> Result<Value> {
        let problem = &self.body["error"];
        ensure!(
            self.status == status && problem["code"] == code,
            "should be refused with {status} {code}: {self:?}"
        );
        Ok(problem.clone())
    }
}

/// Sends a request, such as `GET /v1/status`; a body of null is none.
pub(crate) fn request(socket: &Path, line: &str, body: &Value) -> Result<Reply> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    // Of HTTP/1.0, so that the answer is neither in chunks nor followed by another one.
    let length = body.len();
    let bytes = format!(
        "{line} HTTP/1.0\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    let Answer(answer) = exchange(socket, bytes.as_bytes())?;
    let (head, body) = answer.split_once("\r\n\r\n").with_context(|| format!("{answer:?}"))?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.with_context(|| format!("{line}: no status in {head:?}"))?;
    let body = serde_json::from_str(body).with_context(|| format!("{line}: not JSON: {body}"))?;
    Ok(Reply { status, body })
}

impl Server {
    /// A request of root's.
    pub(crate) fn ask(&self, line: &str, body: &Value) -> Result<Reply> {
        request(&self.socket(), line, body)
    }

    /// A request of root's that has to succeed.
    pub(crate) fn make(&self, line: &str, body: &Value) -> Result<Value> {
        self.ask(line, body)?.done().with_context(|| line.to_owned())
    }

    /// What is to be had at a path.
    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        self.make(&format!("GET {path}"), &Value::Null)
    }

    /// The rows of the audit trail, in their order.
    pub(crate) fn trail(&self) -> Result<Vec<Value>> {
        let mut trail = self.get("/v1/audit")?;
        match trail["rows"].take() {
            Value::Array(rows) => Ok(rows),
            other => anyhow::bail!("no rows but {other}"),
        }
    }

    /// On how many interfaces the filter is.
    pub(crate) fn interfaces_attached(&self) -> Result<usize> {
        let status = self.get("/v1/status")?;
        let interfaces = status["interfaces"].as_array().context("no interfaces")?;
        Ok(interfaces.iter().filter(|interface| interface["state"] == "attached").count())
    }
}
