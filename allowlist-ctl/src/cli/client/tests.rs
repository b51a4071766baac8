use super::*;
use crate::{
    api::{ErrorCode, Status},
    cli::testing::{FakeDaemon, http},
};

fn read_status(socket: &Path) -> Result<Status, Error> {
    Client::new(socket)?.send(&Request::get("/v1/status"))?.document()
}

#[test]
fn what_answers_badly_is_told_in_a_sentence() {
    let truncated = http(200, "{}").replace("length: 2", "length: 200");
    let another = http(404, r#"{"message":"page not found"}"#).replace("allowlistd", "nginx");
    let answering = http(200, "{}").replace("server: allowlistd\r\n", "");
    let table: &[(&str, &str, &str)] = &[
        ("garbage", "\x00\x01not http at all\r\n\r\n", "is not allowlistd: it does not speak HTTP"),
        (
            "a mail server",
            "220 mail.example ESMTP\r\n",
            "is not allowlistd: it does not speak HTTP",
        ),
        ("another server", &another, "is not allowlistd: it answers 404 Not Found"),
        ("another server's document", &answering, "is not allowlistd: it answers 200 OK"),
        ("closes at once", "", "no proper answer came from"),
        ("breaks off", &truncated, "no proper answer came from"),
        ("no document", &http(200, "hello"), "the daemon's answer cannot be read"),
        ("another document", &http(200, "{}"), "the daemon's answer cannot be read"),
        ("no reason", &http(502, "<html>"), "it says 502 Bad Gateway, and nothing more"),
        (
            "unknown code",
            &http(400, r#"{"error":{"code":"new","message":"what it says"}}"#),
            "what it says",
        ),
        ("refusal", &http(404, r#"{"error":{"code":"not_found","message":"no x"}}"#), "no x"),
    ];
    for (description, answer, expected) in table {
        let daemon = FakeDaemon::answering([*answer]);
        let error = read_status(&daemon.socket()).unwrap_err().to_string();
        assert!(error.contains(expected), "{description}: {error}");
        daemon.requests();
    }
}

#[test]
fn a_request_says_what_it_carries() {
    let daemon = FakeDaemon::answering([http(200, "{}"), http(200, "{}")]);
    let client = Client::new(&daemon.socket()).unwrap();
    client.send(&Request::get("/v1/status")).unwrap();
    let text = Request { body: Body::Text("::1\n".into()), ..Request::get("/v1/lists/a") };
    client.send(&text).unwrap();
    let requests = daemon.requests();
    assert!(requests[0].starts_with("GET /v1/status HTTP/1.1\r\nhost: localhost\r\n"));
    assert!(!requests[0].contains("content-type"), "{}", requests[0]);
    assert!(requests[1].contains("content-type: text/plain; charset=utf-8\r\n"), "{}", requests[1]);
    assert!(requests[1].contains("content-length: 4\r\n"), "{}", requests[1]);
}

#[test]
fn a_chunked_body_is_read_to_its_end() {
    let answer = "HTTP/1.1 200 OK\r\nserver: allowlistd\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let daemon = FakeDaemon::answering([answer]);
    let client = Client::new(&daemon.socket()).unwrap();
    let mut reply = client.send(&Request::get("/v1/lists")).unwrap();
    assert_eq!(reply.body().unwrap(), b"abcde");
}

#[test]
fn a_socket_that_cannot_be_opened_is_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let stale = directory.path().join("stale");
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let datagrams = directory.path().join("datagrams");
    let _datagrams = std::os::unix::net::UnixDatagram::bind(&datagrams).unwrap();
    let table = [
        (stale, Absence::Deserted),
        (file.join("below"), Absence::Missing),
        (file, Absence::NoSocket),
        (directory.path().to_owned(), Absence::NoSocket),
        (datagrams, Absence::OtherKind),
        (directory.path().join("missing"), Absence::Missing),
    ];
    for (path, expected) in table {
        let error = read_status(&path).unwrap_err();
        let is_it = matches!(error, Error::NoDaemon { why, .. } if why == expected);
        assert!(is_it, "{}: {error}", path.display());
        assert_eq!(error.exit(), crate::cli::exit::Exit::NoDaemon);
    }
    let long = directory.path().join("x".repeat(200));
    assert!(matches!(read_status(&long).unwrap_err(), Error::Socket { .. }));
    // Root may open every socket, so only the explanation can be tried here.
    let denied = explain_connect(Path::new("/s"), io::ErrorKind::PermissionDenied.into());
    assert_eq!(denied.exit(), crate::cli::exit::Exit::Forbidden);
    assert!(denied.to_string().ends_with(" may not open the daemon's socket /s"), "{denied}");
}

#[test]
fn a_refusal_keeps_what_the_daemon_says() {
    let body =
        r#"{"error":{"code":"unconfirmed","message":"m","hint":"h","details":["d"],"revision":4}}"#;
    let problem = read_refusal(StatusCode::CONFLICT, body.as_bytes()).unwrap();
    assert_eq!((problem.code, problem.revision), (ErrorCode::Unconfirmed, Some(4)));
    assert_eq!((problem.hint.as_deref(), problem.details), (Some("h"), vec!["d".to_owned()]));
}

#[test]
fn a_refusal_in_the_middle_of_a_long_body_is_heard() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("s.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let daemon = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        io::Read::read(&mut stream, &mut [0; 100]).unwrap();
        let body = r#"{"error":{"code":"too_large","message":"too large"}}"#;
        io::Write::write_all(&mut stream, http(413, body).as_bytes()).unwrap();
    });
    let body = Body::Text(vec![b'x'; 8 << 20].into());
    let request = Request { body, ..Request::get("/v1/lists/redis") };
    let error = Client::new(&socket).unwrap().send(&request).err().unwrap();
    assert_eq!(error.to_string(), "too large");
    daemon.join().unwrap();
}
