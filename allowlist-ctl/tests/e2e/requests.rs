//! Requests of every kind on the socket: answered or closed, and the daemon goes on.

use std::{io::Write as _, os::unix::net::UnixStream, thread, time::Instant};

use anyhow::{Context as _, Result, ensure};

use super::support::{Answer, Server, exchange};

/// The largest body of an ordinary request, in bytes.
const MAX_BODY: usize = 1 << 20;

fn request(line: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

#[test]
fn a_request_that_cannot_be_met_is_answered_with_what_is_wrong() -> Result<()> {
    let server = Server::with_options(&[])?;
    server.done(&["protect", "redis", "tcp/6379"])?;
    let before = (server.policy()?, server.revision()?);
    let nested = "[".repeat(100_000);
    let entry = r#"{"entries":[{"entry":"10.0.0.1"}]}"#;
    let table = [
        ("GET /", "", 404, "not_found"),
        ("GET /v2/status", "", 404, "not_found"),
        ("GET /v1/status/", "", 404, "not_found"),
        ("POST /v1/lists/redis/frob", "", 404, "not_found"),
        ("GET /v1/lists/nothing", "", 404, "not_found"),
        ("DELETE /v1/services/nothing", "", 404, "not_found"),
        ("PATCH /v1/status", "", 405, "invalid"),
        ("GET /v1/lists/redis/add", "", 405, "invalid"),
        ("GET /v1/lists/%ff", "", 400, "invalid"),
        ("PUT /v1/services/%ff", "", 400, "invalid"),
        ("GET /v1/lists/%2e%2e%2fetc", "", 400, "invalid"),
        ("GET /v1/lists/Redis", "", 400, "invalid"),
        ("PUT /v1/interfaces/a%2fb", "", 400, "invalid"),
        ("POST /v1/lists/redis/add", "{", 400, "invalid"),
        ("POST /v1/lists/redis/add", &nested, 400, "invalid"),
        ("POST /v1/lists/redis/add", "\u{0}\u{1}", 400, "invalid"),
        ("POST /v1/lists/redis/add", r#"{"entries":7}"#, 400, "invalid"),
        ("POST /v1/lists/redis/add", r#"{"entries":[],"extra":1}"#, 400, "invalid"),
        ("POST /v1/lists/redis/add", r#"{"entries":[{"entry":"x"}]}"#, 400, "invalid"),
        ("POST /v1/lists/redis/add?yse=true", entry, 400, "invalid"),
        ("POST /v1/lists/redis/add?yes=maybe", entry, 400, "invalid"),
        ("POST /v1/lists/redis/add?if_revision=-1", entry, 400, "invalid"),
        ("POST /v1/lists/redis/add?confirm=0", entry, 400, "invalid"),
        ("POST /v1/lists/redis/add?confirm=604801", entry, 400, "invalid"),
        ("POST /v1/shutdown?dry_run=true", "", 400, "invalid"),
        ("PUT /v1/policy", "", 400, "invalid"),
        ("POST /v1/lists/redis/add?if_revision=99", entry, 412, "revision_conflict"),
        ("PUT /v1/services/redis", r#"{"ports":[]}"#, 400, "invalid"),
        ("PUT /v1/services/redis", r#"{"ports":["tcp/0"]}"#, 400, "invalid"),
        ("PUT /v1/services/redis", r#"{"ports":["tcp/1"],"mode":"on"}"#, 400, "invalid"),
        ("PUT /v1/services/new", r#"{"ports":["tcp/6379"]}"#, 409, "conflict"),
        ("PUT /v1/interfaces/eth9", "", 404, "not_found"),
        ("POST /v1/shutdown", r#"{"detatch":true}"#, 400, "invalid"),
    ];
    let mut wrong = String::new();
    for (line, body, status, code) in table {
        let answer = exchange(&server.socket(), &request(line, body))?;
        let problem = answer.json().unwrap_or_default();
        let has_message = problem["error"]["message"].as_str().is_some_and(|text| !text.is_empty());
        if answer.status() != Some(status) || problem["error"]["code"] != code || !has_message {
            wrong = format!("{wrong}{line} {body:.40}: not {status} {code} but {}\n", answer.0);
        }
        ensure!((server.policy()?, server.revision()?) == before, "{line} changed something");
    }
    ensure!(wrong.is_empty(), "{wrong}");
    Ok(())
}

#[test]
fn what_is_not_http_is_refused_or_closed() -> Result<()> {
    let server = Server::with_options(&[])?;
    let noise: Vec<u8> =
        (0_u32..4096).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    let table: [(&str, &[u8]); 8] = [
        ("noise", &noise),
        ("zeros", &[0; 4096]),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"),
        ("another version", b"GET /v1/status HTTP/9.9\r\nhost: x\r\n\r\n"),
        ("two lengths", b"POST /v1/shutdown HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}"),
        ("a negative length", b"POST /v1/shutdown HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n"),
        ("a chunk of no size", b"POST /v1/lists/x/add HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"),
    ];
    for (what, bytes) in table {
        let answer = exchange(&server.socket(), bytes).context(what)?;
        let refused = answer.status().is_none_or(|status| (400..500).contains(&status));
        ensure!(refused, "{what}: {answer:?}");
        server.status()?;
    }
    Ok(())
}

#[test]
fn what_is_too_large_is_refused_before_it_is_kept() -> Result<()> {
    let server = Server::with_options(&[])?;
    server.done(&["protect", "redis", "tcp/6379"])?;
    let large = " ".repeat(MAX_BODY + 1);
    for line in ["POST /v1/lists/redis/add", "PUT /v1/services/redis", "POST /v1/shutdown"] {
        let answer = exchange(&server.socket(), &request(line, &large))?;
        ensure!(answer.status() == Some(413), "{line}: {answer:?}");
    }
    // Of unknown length, and never ending.
    let mut chunks = b"POST /v1/lists/redis/add HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
        transfer-encoding: chunked\r\n\r\n"
        .to_vec();
    for _ in 0..40 {
        chunks.extend(format!("10000\r\n{}\r\n", " ".repeat(0x10000)).bytes());
    }
    let answer = exchange(&server.socket(), &chunks)?;
    ensure!(answer.status() == Some(413), "{answer:?}");

    let endless = "x-header: y\r\n".repeat(100_000);
    let long = "x".repeat(1 << 20);
    for head in [
        format!("GET /v1/status HTTP/1.1\r\n{endless}"),
        format!("GET /v1/status HTTP/1.1\r\nx-header: {long}"),
        format!("GET /{long} HTTP/1.1\r\n\r\n"),
        long,
    ] {
        let answer = exchange(&server.socket(), head.as_bytes())?;
        let refused = answer.status().is_none_or(|status| (400..500).contains(&status));
        ensure!(refused, "{head:.40}: {answer:?}");
        server.status()?;
    }
    // As large as a request may be.
    let just_right = format!("{{\"entries\":[]{}}}", " ".repeat(MAX_BODY - 14));
    let answer = exchange(&server.socket(), &request("POST /v1/lists/redis/add", &just_right))?;
    ensure!(answer.status() == Some(200), "{answer:?}");
    Ok(())
}

#[test]
fn a_request_that_does_not_come_is_closed_after_a_while() -> Result<()> {
    let server = Server::with_options(&[])?;
    let socket = server.socket();
    let slow: [&[u8]; 3] = [b"", b"GET /v1/st", b"GET /v1/status HTTP/1.1\r\nhost: x\r\n"];
    thread::scope(|scope| {
        let waits = slow.map(|bytes| {
            let socket = &socket;
            scope.spawn(move || -> Result<()> {
                let begin = Instant::now();
                let mut stream = UnixStream::connect(socket)?;
                stream.write_all(bytes)?;
                let answer = Answer::read(&mut stream)?;
                let (time, status) = (begin.elapsed(), answer.status());
                ensure!(status.is_none_or(|status| status == 408), "{answer:?}");
                ensure!((5..15).contains(&time.as_secs()), "closed after {time:?}");
                Ok(())
            })
        });
        server.status()?;
        waits.into_iter().try_for_each(|wait| match wait.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    server.status().map(drop)
}
