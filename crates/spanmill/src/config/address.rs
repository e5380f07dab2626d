//! Where Spanmill listens and whom it sends to, and whether the one is the other.

use std::fmt;
use std::net::{IpAddr, ToSocketAddrs, UdpSocket};
use std::str::FromStr;

use thiserror::Error;

use super::units::serde_as_text;

/// A place to listen: a host name or IP address and a port; port 0 is any free port. Its text is what `bind` takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
}

serde_as_text!(Address);

impl Address {
    /// A port of 127.0.0.1.
    pub fn loopback(port: u16) -> Self {
        Self { host: "127.0.0.1".to_owned(), port }
    }

    /// The host name or IP address, which has no brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether only this machine reaches it. A host name other than localhost may mean anything, so it does not count.
    pub fn is_loopback(&self) -> bool {
        match self.host.parse::<IpAddr>() {
            Ok(ip) => ip.to_canonical().is_loopback(),
            Err(_) => self.host.eq_ignore_ascii_case("localhost"),
        }
    }

    /// Whether both cannot be listened on at once.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        if self.port != other.port || self.port == 0 {
            return false;
        }
        if self.host == other.host {
            return true;
        }
        let others = resolve(&other.host);
        resolve(&self.host).iter().any(|a| others.iter().any(|b| a == b || covers(*a, *b) || covers(*b, *a)))
    }
}

/// A text is not an address to listen on.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("expected HOST:PORT such as 127.0.0.1:4317")]
pub struct InvalidAddress;

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let (host, port) = text.rsplit_once(':').ok_or(InvalidAddress)?;
        let port = port.parse().map_err(|_| InvalidAddress)?;
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').filter(|ip| ip.parse::<IpAddr>().is_ok()),
            None => Some(host).filter(|name| is_host_name(name)),
        };
        let host = host.ok_or(InvalidAddress)?.to_owned();
        Ok(Self { host, port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

fn is_host_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    !text.is_empty() && text.chars().all(allowed)
}

/// The URL of an OTLP destination: `http://HOST[:PORT][/PATH]`, or `https://` for an encrypted connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpUrl {
    /// As it was written.
    text: String,
    host: String,
    port: u16,
    has_path: bool,
    is_encrypted: bool,
}

serde_as_text!(HttpUrl);

impl HttpUrl {
    /// Whether something other than `/` follows the port.
    pub fn has_path(&self) -> bool {
        self.has_path
    }

    /// Whether it is `https://`.
    pub fn is_encrypted(&self) -> bool {
        self.is_encrypted
    }

    /// Whether a request to this URL would arrive at a listener of this process. Resolves the host name if the ports
    /// are the same; a name that does not resolve now is somebody else.
    pub(super) fn reaches(&self, listener: &Address) -> bool {
        if self.port != listener.port || listener.port == 0 {
            return false;
        }
        let own = resolve(&listener.host);
        let arrives = |target: IpAddr, own: IpAddr| {
            // Connecting to the unspecified address connects to this machine.
            let at_loopback = target.is_unspecified() && own.is_loopback();
            target == own || at_loopback || (own.is_unspecified() && is_this_machine(target))
        };
        resolve(&self.host).iter().any(|target| own.iter().any(|own| arrives(*target, *own)))
    }
}

/// A text is not the URL of a destination.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum InvalidHttpUrl {
    /// It has another form.
    #[error("expected a URL such as http://localhost:4318")]
    Form,
    /// It has a user name or password in it, which would be shown wherever the URL is.
    #[error("expected a URL without user name and password (use headers)")]
    Credentials,
    /// It has a query, behind which no path can be appended.
    #[error("expected a URL without a query")]
    Query,
}

impl FromStr for HttpUrl {
    type Err = InvalidHttpUrl;

    fn from_str(text: &str) -> Result<Self, InvalidHttpUrl> {
        let uri: http::Uri = text.parse().map_err(|_| InvalidHttpUrl::Form)?;
        let is_encrypted = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(InvalidHttpUrl::Form),
        };
        let authority = uri.authority().ok_or(InvalidHttpUrl::Form)?;
        if authority.as_str().contains('@') {
            return Err(InvalidHttpUrl::Credentials);
        }
        if uri.query().is_some() {
            return Err(InvalidHttpUrl::Query);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = authority.port_u16();
        // A port that is empty or too large leaves something behind the host, but no port.
        if host.is_empty() || (port.is_none() && authority.as_str() != authority.host()) {
            return Err(InvalidHttpUrl::Form);
        }
        Ok(Self {
            text: text.to_owned(),
            host,
            port: port.unwrap_or(if is_encrypted { 443 } else { 80 }),
            has_path: !uri.path().trim_matches('/').is_empty(),
            is_encrypted,
        })
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn resolve(host: &str) -> Vec<IpAddr> {
    let addresses = (host, 0).to_socket_addrs();
    addresses.map(|found| found.map(|address| address.ip().to_canonical()).collect()).unwrap_or_default()
}

/// Whether listening on `wide` takes the port on `narrow` too. `::` usually takes IPv4 with it.
fn covers(wide: IpAddr, narrow: IpAddr) -> bool {
    wide.is_unspecified() && (wide.is_ipv6() || narrow.is_ipv4())
}

/// An address can be bound only on the machine that has it; no packet is sent.
fn is_this_machine(ip: IpAddr) -> bool {
    ip.is_loopback() || ip.is_unspecified() || UdpSocket::bind((ip, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    // Guarantees what is taken for an address, that it is written back as it was, and what counts as loopback.
    #[test]
    fn addresses() {
        for (text, loopback) in [
            ("127.0.0.1:4317", true),
            ("127.9.9.9:0", true),
            ("localhost:4317", true),
            ("[::1]:4317", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("0.0.0.0:4317", false),
            ("[::]:4317", false),
            ("spanmill.internal:4317", false),
        ] {
            assert_eq!(address(text).to_string(), text);
            assert_eq!(address(text).is_loopback(), loopback, "{text}");
        }
        for text in [
            "",
            "4317",
            ":4317",
            "localhost",
            "localhost:",
            "localhost:70000",
            "::1:4317",
            "[x]:1",
            "a b:1",
            "http://x:1",
        ] {
            assert_eq!(text.parse::<Address>(), Err(InvalidAddress), "{text}");
        }
    }

    // Guarantees which URLs are taken and why the others are not.
    #[test]
    fn urls() {
        for (text, port, has_path) in [
            ("http://localhost:4318", 4318, false),
            ("http://localhost:4318/", 4318, false),
            ("http://backend", 80, false),
            ("https://backend", 443, false),
            ("http://[::1]:4317/otlp/", 4317, true),
        ] {
            let url: HttpUrl = text.parse().unwrap();
            assert_eq!((url.to_string().as_str(), url.port, url.has_path()), (text, port, has_path));
            assert_eq!(url.is_encrypted(), text.starts_with("https"));
        }
        for (text, error) in [
            ("localhost:4318", InvalidHttpUrl::Form),
            ("http://", InvalidHttpUrl::Form),
            ("http://a:99999", InvalidHttpUrl::Form),
            ("http://a b", InvalidHttpUrl::Form),
            ("ftp://a", InvalidHttpUrl::Form),
            ("http://me:secret@a", InvalidHttpUrl::Credentials),
            ("http://a/x?y=z", InvalidHttpUrl::Query),
        ] {
            assert_eq!(text.parse::<HttpUrl>(), Err(error), "{text}");
        }
    }

    // Guarantees that every spelling of this machine is recognised, and that other ports and machines are not.
    #[test]
    fn own_listeners_are_recognised() {
        for (url, listener, own) in [
            ("http://127.0.0.1:4317", "127.0.0.1:4317", true),
            ("http://localhost:4317", "127.0.0.1:4317", true),
            ("http://0.0.0.0:4317", "127.0.0.1:4317", true),
            ("http://127.0.0.1:4317", "0.0.0.0:4317", true),
            ("http://127.0.0.1:4317", "localhost:4317", true),
            ("http://127.0.0.1:4318", "127.0.0.1:4317", false),
            ("http://127.0.0.2:4317", "127.0.0.1:4317", false),
            ("http://192.0.2.1:4317", "0.0.0.0:4317", false),
            ("http://127.0.0.1:80", "127.0.0.1:0", false),
            ("http://name.invalid:4317", "127.0.0.1:4317", false),
        ] {
            let destination: HttpUrl = url.parse().unwrap();
            assert_eq!(destination.reaches(&address(listener)), own, "{url} {listener}");
        }
    }

    // Guarantees that two listeners on one port are noticed, and only then.
    #[test]
    fn overlapping_listeners() {
        for (a, b, overlap) in [
            ("127.0.0.1:1", "127.0.0.1:1", true),
            ("127.0.0.1:1", "0.0.0.0:1", true),
            ("[::]:1", "127.0.0.1:1", true),
            ("127.0.0.1:1", "127.0.0.2:1", false),
            ("0.0.0.0:1", "[::1]:1", false),
            ("127.0.0.1:1", "127.0.0.1:2", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
        ] {
            assert_eq!(address(a).overlaps(&address(b)), overlap, "{a} {b}");
            assert_eq!(address(b).overlaps(&address(a)), overlap, "{b} {a}");
        }
    }
}
