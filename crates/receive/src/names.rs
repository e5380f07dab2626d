//! Names that others can give to this machine: a page of theirs, open in a browser here, could ask and send everything under such a name
//! (DNS rebinding).
use crate::Credentials;
use http::header::{HOST, HeaderMap};
use http::uri::{Authority, Uri};
use std::net::IpAddr;
use tokio::net::TcpListener;

/// Whether a server may only be called by an address or as `localhost`: whoever is on this machine may ask it, without more.
pub fn own_names_only(listener: &TcpListener, credentials: &Credentials) -> bool {
    let is_loopback = listener.local_addr().is_ok_and(|address| address.ip().to_canonical().is_loopback());
    is_loopback && !credentials.are_asked_for()
}

/// Whether a request calls the server by an address or by the name of every machine for itself. Browsers always tell the name.
pub fn is_called_by_own_name(headers: &HeaderMap, uri: &Uri) -> bool {
    let host = headers.get(HOST).map(|host| host.to_str().unwrap_or("?"));
    host.or_else(|| uri.authority().map(Authority::as_str)).is_none_or(is_own)
}

/// The same of a host, with or without a port.
fn is_own(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Only addresses and the name of every machine for itself are not in others' hands.
    #[test]
    fn own_names() {
        for (host, expected) in [
            ("localhost", true),
            ("LocalHost:13133", true),
            ("127.0.0.1:13133", true),
            ("10.0.0.1", true),
            ("[::1]:13133", true),
            ("evil.example:13133", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example:13133", false),
            ("", false),
            ("?", false),
        ] {
            assert_eq!(is_own(host), expected, "{host}");
        }
    }
}
