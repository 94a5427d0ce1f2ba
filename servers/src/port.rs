//! Loopback ports that are not raced: a port is claimed before its server is started, and it stays
//! claimed while the server is down.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::atomic::{AtomicU16, Ordering};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt};

/// Ports for tests. They lie below the range that the kernel gives to outgoing connections: a
/// client that keeps reconnecting to a killed server in that range can end up connected to itself.
const TEST_PORTS: Range<u16> = 10_000..18_000;

/// How far apart the processes of one test run begin to look.
const STRIDE: u32 = 64;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port that is ours until this value is dropped. A server that we start can listen on it, as
/// often as it is started.
#[derive(Debug)]
pub struct ClaimedPort {
    number: u16,
    _mark: UnixListener,
    _bound: OwnedFd,
}

impl ClaimedPort {
    /// Claims this port; none if another program listens on it, or another claim holds it.
    pub fn claim(number: u16) -> io::Result<Option<Self>> {
        // The mark goes first: binding does not keep another claim away, since both sockets have
        // the option that lets them share the port.
        let claimed = mark(number).and_then(|mark| Ok((mark, bind_without_listening(number)?)));
        match claimed {
            Ok((mark, bound)) => Ok(Some(Self { number, _mark: mark, _bound: bound })),
            Err(error) if error.kind() == ErrorKind::AddrInUse => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Claims some port of the range for tests.
    pub fn any() -> io::Result<Self> {
        let count = TEST_PORTS.end - TEST_PORTS.start;
        let first = std::process::id().wrapping_mul(STRIDE) % u32::from(count);
        let first = u16::try_from(first).map_err(io::Error::other)?;
        for _ in 0..count {
            // Onwards from the last one: a client of a test that has ended may still try to
            // reconnect to the port that the test gave back.
            let step = NEXT.fetch_add(1, Ordering::Relaxed) % count;
            if let Some(port) = Self::claim(TEST_PORTS.start + (first + step) % count)? {
                return Ok(port);
            }
        }
        Err(io::Error::other(format!("all ports of {TEST_PORTS:?} are taken")))
    }

    /// Returns the port's number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Returns host and port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.number)
    }
}

/// Keeps other claims away. A name in the abstract namespace belongs to one process at a time, for
/// every user of the machine, and ends with that process: there is no file to be cleaned up.
fn mark(number: u16) -> io::Result<UnixListener> {
    let name = format!("runledger-port-{number}");
    UnixListener::bind_addr(&SocketAddr::from_abstract_name(name)?)
}

/// Keeps the kernel from giving the port to a program that asks for any port, or to an outgoing
/// connection.
fn bind_without_listening(number: u16) -> io::Result<OwnedFd> {
    let held = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // With this option on both sockets, and as long as ours does not listen, the server can bind
    // the same port beside us. All servers here set it.
    sockopt::set_socket_reuseaddr(&held, true)?;
    match bind(&held, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, number)) {
        Ok(()) => Ok(held),
        Err(Errno::ADDRINUSE) => Err(ErrorKind::AddrInUse.into()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_claimed_port_cannot_be_claimed_again_until_it_is_given_back() {
        let port = ClaimedPort::any().unwrap();
        let number = port.number();

        assert!(ClaimedPort::claim(number).unwrap().is_none());
        drop(port);

        assert!(ClaimedPort::claim(number).unwrap().is_some());
    }

    #[test]
    fn a_program_that_binds_a_port_plainly_does_not_get_a_claimed_one() {
        let port = ClaimedPort::any().unwrap();
        let plain =
            socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None);

        let taken = bind(plain.unwrap(), &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port.number()));

        assert_eq!(taken, Err(Errno::ADDRINUSE));
    }

    #[test]
    fn a_server_listens_on_its_claimed_port_as_often_as_it_is_started() {
        let port = ClaimedPort::any().unwrap();

        for _ in 0..3 {
            // The standard library's listener sets the same option as the real servers.
            let server = TcpListener::bind(port.address()).unwrap();
            let client = TcpStream::connect(port.address()).unwrap();
            drop(server.accept().unwrap());
            drop((client, server));
            let down = TcpStream::connect(port.address()).unwrap_err();
            assert_eq!(down.kind(), ErrorKind::ConnectionRefused);
        }
    }

    #[test]
    fn a_port_that_a_stranger_listens_on_is_not_claimed() {
        let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
        let number = stranger.local_addr().unwrap().port();

        assert!(ClaimedPort::claim(number).unwrap().is_none());
    }

    #[test]
    fn claims_made_at_once_are_all_different() {
        let ports: Vec<ClaimedPort> = (0..50).map(|_| ClaimedPort::any().unwrap()).collect();
        let numbers: std::collections::BTreeSet<u16> =
            ports.iter().map(ClaimedPort::number).collect();

        assert_eq!(numbers.len(), ports.len());
        assert!(numbers.iter().all(|number| TEST_PORTS.contains(number)));
    }
}
