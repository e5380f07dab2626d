//! Accepting connections: how many, whether encrypted, and for how long a silent one is kept.
use crate::server::Limits;
use crate::tls::Tls;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tokio_rustls::Accept;

/// After a failed accept (mostly: no file descriptor left) trying again at once would only spin.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// The length of the HTTP/2 preface. A client that has sent this much is known to hyper's own timers.
const GREETING_LEN: usize = 24;

/// Accepts up to a number of connections at once; more wait in the kernel's queue.
#[derive(Debug)]
pub(crate) struct Acceptor {
    listener: TcpListener,
    tls: Option<Tls>,
    slots: Arc<Semaphore>,
    greeting_timeout: Duration,
}

impl Acceptor {
    pub(crate) fn new(listener: TcpListener, tls: Option<Tls>, limits: Limits) -> Self {
        let slots = Arc::new(Semaphore::new(limits.max_connections.clamp(1, Semaphore::MAX_PERMITS)));
        Acceptor { listener, tls, slots, greeting_timeout: limits.header_read_timeout }
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
                Ok(stream) => return Connection::new(stream, self.tls.as_ref(), slot, self.greeting_timeout),
                Err(error) => {
                    tracing::warn!(%error, "connection could not be accepted");
                    tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                }
            }
        }
    }
}

/// A stream that bytes of requests come from and bytes of answers go to.
trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

enum Stream {
    /// TLS is not agreed upon yet. That happens as the connection is first read or written, in the task that serves it: a slow
    /// client keeps nobody else waiting.
    Handshake(Box<Accept<TcpStream>>),
    Open(Box<dyn Io>),
    Failed,
}

/// A connection that occupies one slot, and that fails if its client does not begin to speak in time: before the first
/// bytes neither hyper's header timeout nor HTTP/2's keepalive runs.
pub(crate) struct Connection {
    stream: Stream,
    _slot: OwnedSemaphorePermit,
    greeting: Option<Pin<Box<Sleep>>>,
    received: usize,
}

impl Connection {
    fn new(stream: TcpStream, tls: Option<&Tls>, slot: OwnedSemaphorePermit, greeting_timeout: Duration) -> Self {
        let stream = match tls {
            Some(tls) => Stream::Handshake(Box::new(tls.accept(stream))),
            None => Stream::Open(Box::new(stream)),
        };
        let greeting = Some(Box::pin(tokio::time::sleep(greeting_timeout)));
        Connection { stream, _slot: slot, greeting, received: 0 }
    }

    /// The stream, once TLS is agreed upon.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Pin<&mut dyn Io>>> {
        if let Some(greeting) = &mut self.greeting
            && greeting.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if let Stream::Handshake(handshake) = &mut self.stream {
            match ready!(Pin::new(handshake).poll(cx)) {
                Ok(stream) => self.stream = Stream::Open(Box::new(stream)),
                Err(error) => {
                    // a handshake that has ended must not be asked again
                    self.stream = Stream::Failed;
                    return Poll::Ready(Err(error));
                }
            }
        }
        Poll::Ready(match &mut self.stream {
            Stream::Open(stream) => Ok(Pin::new(stream.as_mut())),
            Stream::Handshake(_) | Stream::Failed => Err(io::ErrorKind::NotConnected.into()),
        })
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let filled_before = buffer.filled().len();
        ready!(ready!(self.poll_open(cx))?.poll_read(cx, buffer))?;
        if self.greeting.is_some() {
            self.received += buffer.filled().len() - filled_before;
            if self.received >= GREETING_LEN {
                self.greeting = None;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_open(cx))?.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_open(cx))?.poll_write_vectored(cx, slices)
    }

    /// Of TLS it would gather small pieces into one record as well.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_open(cx))?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Open(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
            // nothing was said, so nothing has to be said at the end
            Stream::Handshake(_) | Stream::Failed => Poll::Ready(Ok(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TlsFiles;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    // A client that connects to an encrypted port and stays silent is disconnected, whether the server would read or write first.
    #[tokio::test]
    async fn silent_handshakes_end() {
        let directory = tempfile::tempdir().unwrap();
        let (cert_file, key_file) = (directory.path().join("cert"), directory.path().join("key"));
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(&cert_file, made.cert.pem()).unwrap();
        std::fs::write(&key_file, made.signing_key.serialize_pem()).unwrap();
        let tls = Tls::from_files(TlsFiles { cert_file, key_file, client_ca_file: None }).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let limits = Limits { header_read_timeout: Duration::from_millis(50), ..Limits::default() };
        let acceptor = Acceptor::new(listener, Some(tls), limits);
        let _silent = [TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
        let (mut reading, mut writing) = (acceptor.accept().await, acceptor.accept().await);
        let patience = Duration::from_secs(10);
        let read = tokio::time::timeout(patience, reading.read(&mut [0])).await.expect("an end");
        assert_eq!(read.map_err(|error| error.kind()), Err(io::ErrorKind::TimedOut));
        let written = tokio::time::timeout(patience, writing.write(b"settings")).await.expect("an end");
        assert_eq!(written.map_err(|error| error.kind()), Err(io::ErrorKind::TimedOut));
    }
}
