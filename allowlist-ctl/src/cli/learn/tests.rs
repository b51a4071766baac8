use crate::cli::testing::{http, typed};

const WATCHING: &str = r#"{"id":7,"service":"redis","by":{"uid":0,"name":"root"},"since":"2026-11-25T09:00:00Z","until":"2026-11-25T09:00:01Z","seconds_left":1}"#;

/// A proposal in which nobody was seen.
fn proposal(mode: &str, noted: bool) -> String {
    format!(
        r#"{{"service":"redis","revision":3,"mode":"{mode}","state":"open","tighten":false,"noted":{noted},"proposed":[],"kept":[],"left_out":{{"admitted":0,"excepted":0,"denied":0,"ended":0}},"unproven":0,"addresses":0,"packets":0,"connections":0,"incomplete":false,"warnings":[]}}"#
    )
}

#[test]
fn what_is_not_noted_is_said_with_what_notes_it() {
    let table = [
        ("enforce", false, "warning: redis is open, and its sources are not noted"),
        ("monitor", true, ""),
    ];
    for (mode, noted, expected) in table {
        let answer = http(200, &proposal(mode, noted));
        let (exit, stdout, stderr, requests) = typed("learn redis --tighten", &[answer]);
        assert!(
            requests[0].starts_with("GET /v1/services/redis/proposal?tighten=true HTTP/1.1\r\n")
        );
        assert_eq!(exit, 0);
        assert!(
            stderr.starts_with(expected) && stderr.is_empty() == expected.is_empty(),
            "{stderr}"
        );
        assert!(stdout.ends_with("# There is nothing to propose.\n"), "{stdout}");
    }
}

#[test]
fn sources_are_noted_before_they_are_asked_for() {
    let ended = format!(r#"{{"ended":[{WATCHING}]}}"#);
    let over =
        r#"{"error":{"code":"not_found","message":"nobody has the sources of redis noted"}}"#;
    let lost = "\nwarning: the daemon was started anew or the service removed meanwhile: ";
    for (end, is_lost) in [(http(200, &ended), false), (http(404, over), true)] {
        let answers = [http(200, WATCHING), end, http(200, &proposal("enforce", true))];
        let (exit, _, stderr, requests) = typed("learn redis --for 1s", &answers);
        assert_eq!((exit, stderr.contains(lost)), (0, is_lost), "{stderr}");
        assert!(requests[0].starts_with("POST /v1/services/redis/watch HTTP/1.1\r\n"));
        // A little longer than it is waited for.
        assert!(requests[0].ends_with("{\"seconds\":3}"), "{}", requests[0]);
        assert!(requests[1].starts_with("DELETE /v1/services/redis/watch?id=7 HTTP/1.1\r\n"));
        assert!(
            requests[2].starts_with("GET /v1/services/redis/proposal?tighten=false HTTP/1.1\r\n")
        );
        let said = "redis: noting for 1 s, until 2026-11-25T09:00:01Z, whose packets pass; ";
        assert!(stderr.starts_with(said), "{stderr}");
    }
}

#[test]
fn json_is_the_document_and_nothing_besides() {
    let document = proposal("enforce", true);
    let ended = format!(r#"{{"ended":[{WATCHING}]}}"#);
    let answers = [http(200, WATCHING), http(200, &ended), http(200, &document)];
    let (exit, stdout, stderr, _) = typed("learn redis --for 1s --json", &answers);
    assert_eq!((exit, stdout, stderr), (0, document + "\n", String::new()));
}
