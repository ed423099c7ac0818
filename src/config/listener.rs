//! Addresses of listeners, as text and as parts.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// `host:port`. The host is a name or an address; empty, `0.0.0.0` and `::` mean every interface.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// Name or address, IPv6 without brackets.
    pub host: String,
    /// Port; 0 lets the operating system choose.
    pub port: u16,
}

impl Address {
    /// Whether only this machine can reach it. `localhost` is: it is bound on 127.0.0.1 and ::1, whatever a resolver says.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.is_localhost() || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    fn is_localhost(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
    }

    /// The addresses of `localhost`, of which no resolver is asked. None: it is another host.
    #[must_use]
    pub fn localhost(&self) -> Option<[SocketAddr; 2]> {
        let both: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        self.is_localhost().then(|| both.map(|ip| SocketAddr::new(ip, self.port)))
    }

    /// Whether it stands for every interface, so that no client can connect to it as it is.
    #[must_use]
    pub fn is_every_interface(&self) -> bool {
        self.host.is_empty() || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified())
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

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || "is not host:port, such as localhost:9092 or [::1]:9092".to_owned();
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().map_err(|_| wrong())?;
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let host = bare.unwrap_or(host);
        // Without brackets the last group of an IPv6 address would be taken for the port.
        let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let ipv6 = bare.is_some() && host.parse::<Ipv6Addr>().is_ok();
        if !ipv6 && (bare.is_some() || !host.chars().all(fine)) {
            return Err(wrong());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

/// One listener: the name that answers and `advertised.listeners` use for it, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// In capitals, as Kafka has it.
    pub name: String,
    /// Where it listens, or what clients are told.
    pub address: Address,
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.name, self.address)
    }
}

impl FromStr for Listener {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, address) = text.split_once("://").unwrap_or(("PLAINTEXT", text));
        let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if name.is_empty() || !name.chars().all(fine) {
            return Err(format!("has a listener without a proper name: `{text}`"));
        }
        let address = address
            .parse()
            .map_err(|why| format!("has a listener whose address {why}: `{text}`"))?;
        Ok(Self { name: name.to_ascii_uppercase(), address })
    }
}
