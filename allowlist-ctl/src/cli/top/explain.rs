//! What becomes of a source's packets, and why.

use std::net::IpAddr;

use crate::{
    cli::{client::Client, error::Error, request::Request},
    policy::port::Ports,
};

/// The lines of an explanation.
///
/// # Errors
/// The daemon's refusal, or why there is no answer.
pub(super) fn explanation(
    client: &Client,
    source: IpAddr,
    port: Option<Ports>,
) -> Result<Vec<String>, Error> {
    let port = port.map(|port| format!("&port={port}")).unwrap_or_default();
    let mut reply = client.send(&Request::get(format!("/v1/check?address={source}{port}")))?;
    let mut text = Vec::new();
    while let Some(piece) = reply.chunk()? {
        text.extend_from_slice(&piece);
    }
    Ok(String::from_utf8_lossy(&text).lines().map(str::to_owned).collect())
}
