//! Accepting connections: how many, and for how long a silent one is kept.
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tonic::transport::server::{Connected, TcpConnectInfo};

/// After a failed accept (mostly: no file descriptor left) trying again at once would only spin.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// The length of the HTTP/2 preface. A client that has sent this much is known to hyper's own timers.
const GREETING_LEN: usize = 24;

/// Accepts up to a number of connections at once; more wait in the kernel's queue.
#[derive(Debug)]
pub(crate) struct Acceptor {
    listener: TcpListener,
    slots: Arc<Semaphore>,
    greeting_timeout: Duration,
}

impl Acceptor {
    pub(crate) fn new(listener: TcpListener, max_connections: usize, greeting_timeout: Duration) -> Self {
        let slots = Arc::new(Semaphore::new(max_connections.clamp(1, Semaphore::MAX_PERMITS)));
        Acceptor { listener, slots, greeting_timeout }
    }

    /// The next connection. May be dropped and called again without losing one.
    pub(crate) async fn accept(&self) -> Connection {
        loop {
            let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else {
                // the semaphore is never closed
                return std::future::pending().await;
            };
            let accepted = self.listener.accept().await.and_then(|(stream, _)| {
                // responses are small and must not wait for more
                stream.set_nodelay(true)?;
                Ok(stream)
            });
            match accepted {
                Ok(stream) => return Connection::new(stream, slot, self.greeting_timeout),
                Err(error) => {
                    tracing::warn!(%error, "connection could not be accepted");
                    tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                }
            }
        }
    }
}

/// A connection that occupies one slot, and that fails if its client does not begin to speak in time: before the first
/// bytes neither hyper's header timeout nor HTTP/2's keepalive runs.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    _slot: OwnedSemaphorePermit,
    greeting: Option<Pin<Box<Sleep>>>,
    received: usize,
}

impl Connection {
    fn new(stream: TcpStream, slot: OwnedSemaphorePermit, greeting_timeout: Duration) -> Self {
        let greeting = Some(Box::pin(tokio::time::sleep(greeting_timeout)));
        Connection { stream, _slot: slot, greeting, received: 0 }
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Some(greeting) = &mut self.greeting else {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        };
        if greeting.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let filled_before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        self.received += buffer.filled().len() - filled_before;
        if self.received >= GREETING_LEN {
            self.greeting = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}
