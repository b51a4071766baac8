//! What becomes of a source's packets, and why: as `allowlist-ctl check` explains it.

use std::net::IpAddr;

use crate::{
    api::Question,
    cli::{check::explain, client::Client, error::Error},
    policy::port::Ports,
};

/// The lines of an explanation; of one for every service where the packets do not say where they go.
///
/// # Errors
/// The daemon's refusal, or why there is no answer.
pub(super) fn explanation(
    client: &Client,
    source: IpAddr,
    port: Option<Ports>,
) -> Result<Vec<String>, Error> {
    let port = port.map(|port| port.to_string());
    let question =
        Question { address: source, port, interface: None, to: None, vlan: None, fragment: None };
    explain(client, &question)
}
