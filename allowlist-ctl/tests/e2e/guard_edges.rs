//! The guard where interfaces change, and the connections that do not concern it.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::{
    guards::{Change, Line, entries, is_guarded, set_up},
    support::{Server, listen},
};

#[test]
fn putting_the_filter_on_an_interface_is_guarded_too() -> Result<()> {
    let server = Server::with_options(&[])?;
    let listener = listen(&server.network.server.namespace, 8080)?;
    for to in server.network.server.port(8080) {
        set_up(&server, &json!({}), &[""; 0], &["10.77.0.2", "fd77::2"])?;
        let mut line = Line::open(server.bob(), &listener, to)?;
        let mut admitted = Line::open(server.alice(), &listener, to)?;
        let attach = Change {
            line: "PUT /v1/interfaces/eth0",
            body: Value::Null,
            command: &["attach", "eth0"],
        };
        is_guarded(&server, &attach, "web", &mut line)?;
        admitted.is_whole()?;
        server.make("DELETE /v1/interfaces/eth0?yes=true", &Value::Null)?;
    }
    // Taken back by whoever made it, a detachment is an attachment.
    server.make("PUT /v1/interfaces/eth0", &Value::Null)?;
    server.make("DELETE /v1/interfaces/eth0?yes=true&confirm=60", &Value::Null)?;
    let mut line = Line::open(server.bob(), &listener, server.network.server.port(8080)[0])?;
    let back = Change { line: "POST /v1/rollback", body: Value::Null, command: &[] };
    is_guarded(&server, &back, "web", &mut line).context("rollback of detach")?;
    // And an attachment that is taken back opens what is closed.
    server.make("DELETE /v1/interfaces/eth0?yes=true", &Value::Null)?;
    drop(line);
    server.make("PUT /v1/interfaces/eth0?force=true&confirm=60", &Value::Null)?;
    server.ask("POST /v1/rollback", &Value::Null)?.refused(409, "unconfirmed")?;
    server.make("POST /v1/rollback?yes=true", &Value::Null)?;
    ensure!(server.interfaces_attached()? == 0);
    Ok(())
}

#[test]
fn connections_that_are_not_cut_do_not_count() -> Result<()> {
    let server = Server::new()?;
    let here = &server.network.server;
    let listener = listen(&here.namespace, 8080)?;
    let unprotected = listen(&here.namespace, 8081)?;
    let [to, to_v6] = here.port(8080);
    set_up(&server, &json!({"include": ["office"]}), &[""; 0], &[""; 0])?;

    // The host's own connections never come over a wire.
    let mut own = Vec::new();
    for to in [to, to_v6, ([127, 0, 0, 1], 8080).into()] {
        own.push(Line::open(here, &listener, to)?);
    }
    let mut bob = Line::open(server.bob(), &listener, to)?;
    let mut elsewhere = Line::open(server.bob(), &unprotected, here.port(8081)[0])?;
    let remove = "POST /v1/lists/web/remove";
    for (what, list, entry) in [
        ("another entry", "web", "10.77.0.3"),
        ("a group", "office", "10.77.0.0/28"),
        ("trusted", "trusted", "10.77.0.0/27"),
    ] {
        server.make("POST /v1/lists/web/add", &entries(&["10.77.0.0/24"])).context(what)?;
        server.make(&format!("POST /v1/lists/{list}/add"), &entries(&[entry])).context(what)?;
        server.make("POST /v1/lists/web/add", &entries(&["192.0.2.1"]))?;
        server.make(remove, &entries(&["10.77.0.0/24"])).context(what)?;
        bob.is_whole().context(what)?;
        server.make("POST /v1/lists/web/add", &entries(&["10.77.0.0/24"]))?;
        server.make(&format!("POST /v1/lists/{list}/remove"), &entries(&[entry])).context(what)?;
        bob.is_whole().context(what)?;
    }

    // One that is cut already is cut no further.
    server.ask(remove, &entries(&["10.77.0.0/24"]))?.refused(409, "guarded")?;
    server.make("POST /v1/lists/web/remove?force=true", &entries(&["10.77.0.0/24"]))?;
    bob.is_cut()?;
    server.make("POST /v1/lists/web/add", &entries(&["192.0.2.2"]))?;
    server.make("POST /v1/lists/web/add", &entries(&["!10.77.0.3"]))?;
    server.make(remove, &entries(&["192.0.2.1"]))?;
    server.make("PUT /v1/services/web/mode", &json!({"mode": "enforce"}))?;

    for line in &mut own {
        line.is_whole()?;
    }
    elsewhere.is_whole()
}
